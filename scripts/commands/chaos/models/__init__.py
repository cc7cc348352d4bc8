"""Servers of several models: their file, their reports, and answers by build.

model_file    the file of models, changed while a server watches it
builds        the builds that the claims serve, and the right answers of each
tally         the build that computed an answer; answers that failed, were cut, or are of another
reports       the states of the models, as a server reports them
"""
