printf 'ID,Kernel Name,gpu__time_duration.sum\n,,us\n0,rows(),fast\n' > ncu.csv
hone profile "$TESTS/data/rows.cu" --device virtual:h200 --import ncu.csv
