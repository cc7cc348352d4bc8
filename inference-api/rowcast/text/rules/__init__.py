"""Rules for a reply's text: schemas, expressions, grammars."""
