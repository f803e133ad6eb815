hone check no_such_file.cu
