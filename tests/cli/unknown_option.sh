hone optimize "$EXAMPLES/matmul.cu" --eval 3
