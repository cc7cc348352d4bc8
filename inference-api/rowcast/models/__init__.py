"""The models of one server: the file that names them, and the messages about their states.

catalog      MODELS or MODEL ──▶ a `Build` per name
build        one name at one revision, and its settings
messages     what frontends and the supervisor send each other
"""
