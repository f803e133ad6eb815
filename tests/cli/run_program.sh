# Options before the program are hone's, those behind it the program's; its exit code is hone's.
cat > program <<'P'
#!/bin/sh
[ -e "${LD_LIBRARY_PATH%%:*}/libcudart.so.13" ] && echo "finds libcudart.so.13"
echo "device $HONE_VGPU_DEVICE, arguments $*"
exit 7
P
chmod +x program
LD_LIBRARY_PATH=/elsewhere hone run --device virtual:a100 ./program --device none -x
echo "exit code $?"
hone run --device cuda:0 ./program
echo "exit code $?"
hone run ./missing
echo "exit code $?"
printf '\177ELF.nvFatBinSegment' > linked_in
hone run ./linked_in
echo "exit code $?"
hone run
