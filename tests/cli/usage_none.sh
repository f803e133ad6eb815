hone
