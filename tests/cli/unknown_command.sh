hone optimise x.cu
