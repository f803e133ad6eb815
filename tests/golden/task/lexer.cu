#pragma hone size N=4
__global__ void k(int a) { if (a) { }
