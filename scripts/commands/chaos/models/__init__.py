"""Servers of several models: their file, what they report of it, and answers by build.

model_file    the file of models, changed while a server watches it
builds        the builds that the claims serve, and the right answers of each
tally         which build computed an answer; what failed, was cut, or is of another model
reports       the states of the models, as a server reports them
"""
