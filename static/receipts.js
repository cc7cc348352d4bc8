/**
 * Checks a receipt: the server computes its replies again from their requests alone, and the digests
 * are compared here. A trail has a byte for each token, so it shows where replies differ.
 */

/** Return {equal, text} about a reply and its receipt. */
export async function checkReceipt(api, node) {
  const { model: _, replies, ...question } = node.receipt;
  const wanted = replies.map(({ prompt, choice }) => ({ prompt, choice }));
  const body = JSON.stringify({ ...question, replies: wanted });
  const { receipt, texts } = await api.json("v1/replay", { method: "POST", body });
  const [then, now] = [replies[0], receipt.replies[0]];
  const difference = differenceOf(then, now);
  if (difference) return { equal: false, text: `Not the same: it differs ${difference}.` };
  const plain = !node.reasoning && !node.calls?.length;
  if (plain && texts[0] !== node.text) return { equal: false, text: "The receipt is valid, but it belongs to another text." };
  return { equal: true, text: `Checked: computed again, all ${then.tokens} tokens are equal.` };
}

function differenceOf(then, now) {
  let same = 0;
  const least = Math.min(then.trail.length, now.trail.length);
  while (same < least && then.trail.slice(same, same + 2) === now.trail.slice(same, same + 2)) same += 2;
  if (same < least) return `from token ${same / 2 + 1} on`;
  if (then.tokens !== now.tokens || then.finish_reason !== now.finish_reason) return "in its end";
  return then.digest === now.digest ? "" : "in its last token";
}
