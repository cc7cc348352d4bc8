"""How fast was it? Outcomes become figures, figures become text and JSON.

figures      percentiles, rates and counts of one run
comparison   two targets: medians of alternating rounds, and their ratio
guest        one more request among streams, and its cost to them
table        a run or a comparison as text
json_file    everything, with raw times
"""
