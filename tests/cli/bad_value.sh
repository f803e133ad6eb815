hone optimize "$EXAMPLES/matmul.cu" --time soon
