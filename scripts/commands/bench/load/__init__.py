"""Sends requests and records what arrives.

    requests ▶ pace ▶ driver ▶ exchange ▶ outcome

`requests` are the prompts, `pace` decides when each starts, `driver` is the socket loop for one
`target`, `exchange` one request in flight, `outcome` what was received for it.
"""
