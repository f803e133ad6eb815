# What a person sees, what a program reads, what a page holds; one task against itself, and hardware counters beside the virtual ones.
T="$TESTS/data/rows.cu"
hone profile "$T" --device virtual:h200 --workers 1 --top 1
echo "-- source"
hone profile "$T" --device virtual:h200 --workers 1 --source | tail -4
echo "-- import"
hone profile "$T" --device virtual:h200 --workers 1 --import "$TESTS/data/ncu/raw.csv" | sed -n '2p;/  hardware  /,/measured: /p'
hone profile "$T" --device virtual:h200 --workers 1 --import "$TESTS/data/ncu/details.csv" --json | python3 -c '
import json, sys
j = json.load(sys.stdin)
h = j["kernels"][0]["hardware"]
m = {x["id"]: x for x in h["metrics"]}
print(j["schema"], j["hardware"]["layout"], h["kind"], h["invocations"], h["same_launch"], m["time_us"]["measured"], m["registers"]["measured"],
      "virtual" in m["registers"], "load_sectors" in m)'
echo "-- two"
sed 's/x\[row \* C + j\]/x[j * N + row]/; s/rows(/rows_by_columns(/; s/ rows<<</ rows_by_columns<<</' "$T" > columns.cu
hone profile "$T" columns.cu --device virtual:h200 --workers 1 --json > two.json
python3 - <<'PY'
import json
j = json.load(open("two.json"))
k, b = j["kernels"][0], j["baseline"]["kernels"][0]
print(k["kernel"], b["kernel"], k["facts"]["sector_efficiency"], b["facts"]["sector_efficiency"] < 0.2)
print(",".join(s["id"] for s in k["symptoms"]), ",".join(s["id"] for s in b["symptoms"]))
c = {r["id"]: r for r in j["compare"]}
print(c["warp_insts"]["ratio"] > 0.5, c["global_sectors"]["ratio"] > 7)
lines = {l["line"]: l for l in j["source"]}
print(lines[12]["sectors_per_ideal"], lines[12]["flops"], sum(l["time_share"] for l in lines.values()) < 1 + 1e-9)
PY
hone profile "$T" columns.cu --device virtual:h200 --workers 1 | sed -n '/^compared/,/^candidate/p'
echo "-- page"
hone profile "$T" columns.cu --device virtual:h200 --workers 1 --html page.html
python3 - <<'PY'
import html.parser, re
text = open("page.html").read()
class P(html.parser.HTMLParser):
    tags = []
    def handle_starttag(self, tag, attrs): self.tags.append(tag)
p = P(); p.feed(text)
print(p.tags.count("svg"), "script" in p.tags, re.search(r"(src|href)\s*=", text) is None, "rows_by_columns" in text, "&lt;&lt;&lt;" in text)
hot = [r for r in text.split("<tr>") if "x[j * N + row]" in re.sub("<[^>]*>", "", r)]
print(len(hot), float(re.search(r"width:([0-9.]+)%", hot[0])[1]) > 30)
PY
echo "-- colour"
hone profile "$T" --device virtual:h200 --workers 1 --color always | grep -c "$(printf '\033')" | sed 's/^[1-9][0-9]*$/coloured/'
hone profile "$T" --device virtual:h200 --workers 1 | grep -c "$(printf '\033')"
exit 0
