# curl: the quickstart's request, a stream, HTTP/1.0, an error.
ask() { curl -sS --max-time 60 -H "Authorization: Bearer $ROWCAST_TOKEN" "$@"; }

ask "$ROWCAST_URL/v1/models" | grep -q '"id":"scripted"'
ask "$ROWCAST_URL/v1/completions" -H "Content-Type: application/json" \
    -d '{"model": "scripted", "prompt": "San Francisco is a", "max_tokens": 7, "temperature": 0}' \
    | tee answer
grep -q '"object":"text_completion"' answer
for version in --http1.0 --http1.1; do
    ask -N "$version" "$ROWCAST_URL/v1/chat/completions" \
        -d '{"model": "falcon40b", "stream": true, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}' >stream
    tail -n 2 stream | grep -q '^data: \[DONE\]$'
done
ask "$ROWCAST_URL/v1/completions" -d '{"model": "nothing", "prompt": "a"}' | grep -q model_not_found
