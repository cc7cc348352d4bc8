"""The models of one server: the file that names them, and the messages about their states.

MODELS ──located_json──▶ values with lines ──entry, keys──▶ entries ──catalog──▶ a `Build` each

catalog       the file, or MODEL alone, as a `Catalog`; `watch` reads it again when it changes
build         one name at one revision, and its settings; `revision` makes its id
generation    the defaults that an operator gives a model's requests
local_env     the variables beside the file
messages      what frontends and the supervisor send each other, over a `connection`
"""
