#pragma hone size	N=4 é=	3
	#pragma hone	out b flot[	1]
