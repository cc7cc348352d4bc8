"""The models of one frontend process: which builds it uses, and may use.

supervision   the connection to the supervisor, which starts and stops builds
slot          one build here: its last known state, who uses it, what it may be used for
table         the current builds by each of their names
waiting       a request that waits for a build
recipes       how builds are loaded, for streams of those that were replaced
reasons       failures as callers see them: without paths
maker         what a build needs here: tokenizer, template, helpers, sessions
builds        all builds: what messages and requests change in them
models        by name: `claim(name, request)` ──▶ a ServedModel, until the response was sent
"""
