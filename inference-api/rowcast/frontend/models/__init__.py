"""The models of one frontend process: the builds that it uses, or may use.

supervision   the connection to the supervisor, which starts and stops builds
slot          one build in this process: its last known state, its claims, what is due
table         the current builds by each of their names
waiting       a request that waits for a build
recipes       how builds are loaded, for streams of those that were replaced
maker         what a build needs here: tokenizer, template, helpers, sessions
reasons       reasons of failures as callers see them: without paths of this machine
builds        all builds: what messages and requests change in them
models        by name: `claim(name, request, options)` ──▶ a ServedModel until the response was sent
"""
