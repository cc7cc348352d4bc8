# The llm command-line tool, with the server as one of its models.
cat >extra-openai-models.yaml <<YAML
- model_id: rowcast
  model_name: scripted
  api_base: "$ROWCAST_URL/v1"
  api_key_name: rowcast
  supports_schema: true
- model_id: rowcast-text
  model_name: scripted
  api_base: "$ROWCAST_URL/v1"
  api_key_name: rowcast
  completion: true
YAML
llm keys set rowcast --value "$ROWCAST_TOKEN"
llm models | grep rowcast
llm -m rowcast "Hello" -o max_tokens 9 -o seed 3 | tee streamed
llm -m rowcast "Hello" -o max_tokens 9 -o seed 3 --no-stream >whole
diff streamed whole
llm -m rowcast-text "Hello" -o max_tokens 9
llm -m rowcast --schema 'name, age int' "a person" -o max_tokens 900 -o seed 1 | python3 -m json.tool
