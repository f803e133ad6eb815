hone check "$TESTS/data/rows.cu" --device virtual:h200 --mutants none --json | python3 -c 'import json,sys; j=json.load(sys.stdin); print(j["schema"], j["verdict"], j["findings"])'
