"""The models of one frontend process: which builds it uses, and may use.

supervision   the connection to the supervisor, which starts and stops builds
slot          one build here: its last known state, who uses it, what it may be used for
waiting       a request that waits for a build
models        by name: `claim(name, request)` ──▶ a ServedModel, until the response was sent
"""
