// export/python: NAME.py, a loader on libcuda through ctypes, and NAME_torch.py, the same as an operator of PyTorch.
#include "export/internal.h"
#include <string.h>

static const struct {
    hone_dtype t;
    const char *ctype, *torch;
} types[] = {
    {HONE_FLOAT, "c_float", "float32"},  {HONE_DOUBLE, "c_double", "float64"},   {HONE_HALF, NULL, "float16"},
    {HONE_BFLOAT16, NULL, "bfloat16"},   {HONE_INT8, "c_int8", "int8"},          {HONE_UINT8, "c_uint8", "uint8"},
    {HONE_INT16, "c_int16", "int16"},    {HONE_UINT16, "c_uint16", "uint16"},    {HONE_INT32, "c_int32", "int32"},
    {HONE_UINT32, "c_uint32", "uint32"}, {HONE_INT64, "c_int64", "int64"},       {HONE_UINT64, "c_uint64", "uint64"},
    {HONE_BOOL, "c_bool", "bool"},       {HONE_FP8_E4M3, NULL, "float8_e4m3fn"}, {HONE_FP8_E5M2, NULL, "float8_e5m2"},
};

static size_t type_row(hone_dtype t) {
    size_t i = 0;
    while (i + 1 < HONE_COUNT(types) && types[i].t != t)
        i++;
    return i;
}

static void tuple(exporting *x, hone_expr *const *e, size_t n) {
    hone_str_add(x->out, "lambda v: (");
    for (size_t i = 0; i < n; i++) {
        export_expr(x, e[i], HONE_DIALECT_PYTHON, false);
        hone_str_add(x->out, ", ");
    }
    hone_str_add(x->out, ")");
}

static const char *const roles[] = {"in", "out", "inout", "scratch"};

static void tables(exporting *x) {
    hone_str_add(x->out, "SIZES = {");
    for (size_t i = 0; i < x->t->sizes[0].n; i++)
        hone_str_addf(x->out, "%s\"%s\": %lld", i ? ", " : "", x->t->sizes[0].v[i].name, (long long)x->t->sizes[0].v[i].value);
    hone_str_add(x->out, "}   # those optimized for\nSCALARS = {");
    for (size_t i = 0; i < x->t->n_args; i++) {
        const hone_arg *a = &x->t->args[i];
        if (a->role != HONE_SCALAR || !hone_scalar_is_constant(a, &x->constants))
            continue;
        hone_str_addf(x->out, "\"%s\": ", a->name);
        export_expr(x, a->value, HONE_DIALECT_PYTHON, hone_dtype_is_float(a->type));
        hone_str_add(x->out, ", ");
    }
    hone_str_add(x->out, "}\n# name: (role, bytes of one element, shape)\nBUFFERS = {\n");
    for (size_t i = 0; i < x->t->n_args; i++) {
        const hone_arg *a = &x->t->args[i];
        if (a->role == HONE_SCALAR)
            continue;
        hone_str_addf(x->out, "    \"%s\": (\"%s\", %zu, ", a->name, roles[a->role], hone_dtype_bytes(a->type));
        tuple(x, a->dims, a->n_dims);
        hone_str_add(x->out, "),\n");
    }
    hone_str_add(x->out, "}\n");
}

static hone_code launch(exporting *x, const hone_launch *l) {
    char symbol[512];
    export_symbol(x->ptx, l->kernel, symbol, sizeof symbol);
    hone_str_addf(x->out, "    (\"%s\", ", symbol);
    tuple(x, l->grid, 3);
    hone_str_add(x->out, ", ");
    tuple(x, l->block, 3);
    hone_str_add(x->out, ",\n     ");
    if (l->cluster[0])
        tuple(x, l->cluster, 3);
    else
        hone_str_add(x->out, "None");
    hone_str_addf(x->out, ", %s, lambda v: ", l->cooperative ? "True" : "False");
    if (l->smem)
        export_expr(x, l->smem, HONE_DIALECT_PYTHON, false);
    else
        hone_str_add(x->out, "0");
    hone_str_add(x->out, ",\n     [");
    for (size_t i = 0; i < l->n_args; i++) {
        if (l->args[i].buffer) {
            hone_str_addf(x->out, "\"%s\", ", l->args[i].buffer);
            continue;
        }
        hone_dtype t;
        HONE_TRY(export_value_type(x, l, i, &t));
        hone_str_addf(x->out, "(ctypes.%s, lambda v: ", types[type_row(t)].ctype);
        export_expr(x, l->args[i].value, HONE_DIALECT_PYTHON, hone_dtype_is_float(t));
        hone_str_add(x->out, "), ");
    }
    hone_str_add(x->out, "]),\n");
    return HONE_OK;
}

static const char imports[] =
    "import ctypes\nimport math\nimport os\n\n"
    "HERE = os.path.dirname(os.path.abspath(__file__))\n\n\n"
    "def x_div(a, b):\n    \"\"\"C's division of integers: towards zero.\"\"\"\n    q = abs(a) // abs(b)\n    return q if (a < 0) == (b < 0) else -q\n\n\n"
    "def x_mod(a, b):\n    return a - b * x_div(a, b)\n\n\n"
    "def x_cdiv(a, b):\n    return -(-a // b)\n\n\n"
    "def x_round_up(a, b):\n    return x_cdiv(a, b) * b\n\n\n"
    "def x_pow2_ceil(a):\n    return 1 if a <= 1 else 1 << (a - 1).bit_length()\n\n\n";

static const char runtime[] =
    "\n\nclass CudaError(RuntimeError):\n    \"\"\"A call of the CUDA driver failed.\"\"\"\n\n\n"
    "class _Attribute(ctypes.Structure):\n"
    "    _fields_ = [(\"id\", ctypes.c_int), (\"pad\", ctypes.c_char * 4), (\"value\", ctypes.c_uint32 * 16)]\n\n\n"
    "class _Config(ctypes.Structure):\n"
    "    _fields_ = [(n, ctypes.c_uint) for n in (\"gx\", \"gy\", \"gz\", \"bx\", \"by\", \"bz\", \"shared\")] + [\n"
    "        (\"stream\", ctypes.c_void_p), (\"attrs\", ctypes.POINTER(_Attribute)), (\"n\", ctypes.c_uint)]\n\n\n"
    "class ^:\n"
    "    \"\"\"The kernel, loaded once per CUDA context. folder: where @.cubin or @.ptx lies; library: libcuda to use.\"\"\"\n\n"
    "    def __init__(self, folder=HERE, library=None):\n"
    "        self.folder = folder\n"
    "        self.cuda = ctypes.CDLL(library or os.environ.get(\"LIBCUDA\") or \"libcuda.so.1\")\n"
    "        self.loaded = {}\n"
    "        self.scratch = {}\n"
    "        self.call(\"cuInit\", 0)\n"
    "        context = ctypes.c_void_p()\n"
    "        self.call(\"cuCtxGetCurrent\", ctypes.byref(context))\n"
    "        if not context.value:\n"
    "            device = ctypes.c_int()\n"
    "            self.call(\"cuDeviceGet\", ctypes.byref(device), 0)\n"
    "            self.call(\"cuDevicePrimaryCtxRetain\", ctypes.byref(context), device)\n"
    "            self.call(\"cuCtxSetCurrent\", context)\n\n"
    "    def call(self, name, *args):\n"
    "        code = getattr(self.cuda, name)(*args)\n"
    "        if code:\n"
    "            text = ctypes.c_char_p()\n"
    "            self.cuda.cuGetErrorName(code, ctypes.byref(text))\n"
    "            raise CudaError(f\"{name}: {(text.value or b'unknown error').decode()} ({code})\")\n\n"
    "    def _functions(self):\n"
    "        context = ctypes.c_void_p()\n"
    "        self.call(\"cuCtxGetCurrent\", ctypes.byref(context))\n"
    "        if context.value not in self.loaded:\n"
    "            self.loaded[context.value] = self._load()\n"
    "        return self.loaded[context.value]\n\n"
    "    def _load(self):\n"
    "        module, functions = ctypes.c_void_p(), {}\n"
    "        names = [os.path.join(self.folder, \"@\" + end) for end in (\".cubin\", \".ptx\")]\n"
    "        names = [name for name in names if os.path.exists(name)]\n"
    "        if not names:\n"
    "            raise FileNotFoundError(f\"neither @.cubin nor @.ptx in {self.folder}\")\n"
    "        for name in names:\n"
    "            try:\n"
    "                self.call(\"cuModuleLoad\", ctypes.byref(module), os.fsencode(name))\n"
    "                break\n"
    "            except CudaError:\n"
    "                if name == names[-1]:\n"
    "                    raise\n"
    "        for symbol in {launch[0] for launch in LAUNCHES}:\n"
    "            functions[symbol] = ctypes.c_void_p()\n"
    "            self.call(\"cuModuleGetFunction\", ctypes.byref(functions[symbol]), module, symbol.encode())\n"
    "        return functions\n\n"
    "    def values(self, **given):\n"
    "        \"\"\"Sizes and scalars, defaults filled in.\"\"\"\n"
    "        unknown = set(given) - set(SIZES) - set(SCALARS)\n"
    "        if unknown:\n"
    "            raise TypeError(f\"@ has no size or scalar {', '.join(sorted(unknown))}; it has {', '.join([*SIZES, *SCALARS])}\")\n"
    "        values = {**SIZES, **SCALARS, **given}\n"
    "        for name in SIZES:\n"
    "            if not 1 <= values[name] <= 1 << 40:\n"
    "                raise ValueError(f\"size {name} is {values[name]}; 1 to 2**40 are allowed\")\n"
    "        return values\n\n"
    "    def shapes(self, **given):\n"
    "        \"\"\"The shape of every buffer.\"\"\"\n"
    "        values = self.values(**given)\n"
    "        return {name: shape(values) for name, (_, _, shape) in BUFFERS.items()}\n\n"
    "    def bytes(self, **given):\n"
    "        \"\"\"Bytes that each buffer needs.\"\"\"\n"
    "        return {name: BUFFERS[name][1] * math.prod(shape) for name, shape in self.shapes(**given).items()}\n\n"
    "    def _pointer(self, name, buffers, need):\n"
    "        if BUFFERS[name][0] == \"scratch\":\n"
    "            have, size = self.scratch.get(name, (None, 0))\n"
    "            if size < need[name]:\n"
    "                if have:\n"
    "                    self.call(\"cuMemFree_v2\", have)\n"
    "                have = ctypes.c_uint64()\n"
    "                self.call(\"cuMemAlloc_v2\", ctypes.byref(have), ctypes.c_size_t(need[name]))\n"
    "                self.scratch[name] = (have, need[name])\n"
    "            return have\n"
    "        if name not in buffers:\n"
    "            raise TypeError(f\"@ needs the buffer {name}\")\n"
    "        address, size = buffers[name]\n"
    "        if not address or size < need[name]:\n"
    "            raise ValueError(f\"buffer {name} has {size} bytes; {need[name]} are needed\")\n"
    "        return ctypes.c_uint64(address)\n\n"
    "    def launch(self, buffers, stream=0, **given):\n"
    "        \"\"\"Launches asynchronously. buffers: name -> (device address, bytes); given: sizes and scalars.\"\"\"\n"
    "        v, need, functions = self.values(**given), self.bytes(**given), self._functions()\n"
    "        for symbol, grid, block, cluster, cooperative, shared, args in LAUNCHES:\n"
    "            held = [self._pointer(a, buffers, need) if isinstance(a, str) else a[0](a[1](v)) for a in args]\n"
    "            self._start(functions[symbol], grid(v), block(v), cluster and cluster(v), cooperative, shared(v), held, stream)\n\n"
    "    def _start(self, function, grid, block, cluster, cooperative, shared, held, stream):\n"
    "        most = (2**31 - 1, 65535, 65535)\n"
    "        if any(not 1 <= g <= m for g, m in zip(grid, most)) or any(b < 1 for b in block) or math.prod(block) > 1024 or shared < 0:\n"
    "            raise ValueError(f\"these sizes give no valid launch: grid {grid}, block {block}, {shared} bytes of shared memory\")\n"
    "        attributes = (_Attribute * 2)()\n"
    "        config = _Config(*grid, *block, shared, stream, attributes, 0)\n"
    "        if cooperative:\n"
    "            attributes[config.n].id = 2\n"
    "            attributes[config.n].value[0] = 1\n"
    "            config.n += 1\n"
    "        if cluster:\n"
    "            attributes[config.n].id = 4\n"
    "            attributes[config.n].value[0:3] = cluster\n"
    "            config.n += 1\n"
    "        if shared > 48 * 1024:\n"
    "            self.call(\"cuFuncSetAttribute\", function, 8, shared)\n"
    "        pointers = (ctypes.c_void_p * (len(held) + 1))(*[ctypes.addressof(h) for h in held])\n"
    "        self.call(\"cuLaunchKernelEx\", ctypes.byref(config), function, pointers, None)\n";

static hone_code checked(exporting *x) {
    for (size_t i = 0; i < x->t->n_launches; i++)
        HONE_TRY(launch(x, &x->t->launches[i]));
    return HONE_OK;
}

hone_code export_python(exporting *x) {
    export_put(x, "\"\"\"@: a kernel with its launch plan, through libcuda by ctypes.\n\n");
    export_origin(x, "");
    export_put(x, "\n    import @\n"
                  "    k = @.^()                                   # in the current CUDA context, or the primary one of device 0\n"
                  "    k.shapes(), k.bytes()                       # what each buffer must hold, for the sizes optimized for\n"
                  "    k.launch({\"NAME\": (address, bytes), ...})   # sizes and scalars as keywords; stream=0\n"
                  "\nAddresses are device pointers as integers. LIBCUDA in the environment names another libcuda.\n\"\"\"\n");
    hone_str_add(x->out, imports);
    tables(x);
    hone_str_add(
        x->out,
        "# symbol, grid, block, cluster, cooperative, bytes of shared memory, arguments (a buffer's name, or type and value)\nLAUNCHES = [\n");
    HONE_TRY(checked(x));
    hone_str_add(x->out, "]\n");
    export_put(x, runtime);
    return hone_str_check(x->out, "the Python loader", x->e);
}

// ---- PyTorch. Formats: % is a tensor's name as a Python variable, $ as it is.

static bool is_operand(const hone_arg *a) { return a->role == HONE_IN || a->role == HONE_OUT || a->role == HONE_INOUT; }

static void operands(exporting *x, const char *format, const char *role) {
    bool first = true;
    for (size_t i = 0; i < x->t->n_args; i++) {
        const hone_arg *a = &x->t->args[i];
        if (!is_operand(a) || (role && !strcmp(role, "given") ? a->role == HONE_OUT : role && strcmp(role, roles[a->role]) != 0))
            continue;
        if (!first)
            hone_str_add(x->out, ", ");
        first = false;
        for (const char *f = format; *f; f++) {
            if (*f == '%')
                hone_name_spell(a->name, HONE_DIALECT_PYTHON, x->out);
            else if (*f == '$')
                hone_str_add(x->out, a->name);
            else
                hone_str_addc(x->out, *f);
        }
    }
}

static void torch_types(exporting *x) {
    hone_str_add(x->out, "TYPES = {");
    bool first = true;
    for (size_t i = 0; i < x->t->n_args; i++) {
        const hone_arg *a = &x->t->args[i];
        if (is_operand(a))
            hone_str_addf(x->out, "%s\"%s\": torch.%s", first ? "" : ", ", a->name, types[type_row(a->type)].torch);
        first &= !is_operand(a);
    }
    hone_str_add(x->out, "}\n# sizes that are an extent of a tensor that is given: tensor, axis\nFROM = {");
    for (size_t s = 0; s < x->t->sizes[0].n; s++) {
        const char *name = x->t->sizes[0].v[s].name;
        bool found = false;
        for (size_t i = 0; i < x->t->n_args && !found; i++) {
            const hone_arg *a = &x->t->args[i];
            for (size_t k = 0; k < a->n_dims && !found && (a->role == HONE_IN || a->role == HONE_INOUT); k++)
                if ((found = !strcmp(hone_expr_text(a->dims[k]), name)))
                    hone_str_addf(x->out, "\"%s\": (\"%s\", %zu), ", name, a->name, k);
        }
    }
    hone_str_add(x->out, "}\n\n\n");
}

static const char torch_check[] = "def _check(tensors, values):\n"
                                  "    device = next(iter(tensors.values())).device\n"
                                  "    for name, shape in _kernel().shapes(**values).items():\n"
                                  "        t = tensors.get(name)\n"
                                  "        if t is None:\n"
                                  "            continue\n"
                                  "        if not t.is_cuda or t.device != device:\n"
                                  "            raise ValueError(f\"{name} is on {t.device}; all tensors must be on one CUDA device\")\n"
                                  "        if t.dtype != TYPES[name]:\n"
                                  "            raise TypeError(f\"{name} is {t.dtype}; {TYPES[name]} is needed\")\n"
                                  "        if tuple(t.shape) != tuple(shape):\n"
                                  "            raise ValueError(f\"{name} has shape {tuple(t.shape)}; {tuple(shape)} is needed\")\n"
                                  "        if not t.is_contiguous() or t.data_ptr() % 16:\n"
                                  "            raise ValueError(f\"{name} must be contiguous and aligned to 16 bytes\")\n\n\n";

static void mutated(exporting *x, const char *name, bool more) {
    hone_str_add(x->out, more ? ", \"" : "\"");
    hone_name_spell(name, HONE_DIALECT_PYTHON, x->out);
    hone_str_addc(x->out, '"');
}

static void torch_op(exporting *x) {
    bool writes = false;
    hone_str_add(x->out, "@torch.library.custom_op(\"hone::");
    export_put(x, "@\", mutates_args={");
    for (size_t i = 0; i < x->t->n_args; i++) {
        const hone_arg *a = &x->t->args[i];
        if (a->role == HONE_OUT || a->role == HONE_INOUT)
            mutated(x, a->name, writes);
        writes |= a->role == HONE_OUT || a->role == HONE_INOUT;
    }
    hone_str_add(x->out, "})\ndef _op(");
    operands(x, "%: torch.Tensor", NULL);
    hone_str_add(x->out, ", values: str) -> None:\n    tensors = {");
    operands(x, "\"$\": %", NULL);
    hone_str_add(x->out, "}\n    given = json.loads(values)\n    _check(tensors, given)\n"
                         "    with torch.cuda.device(next(iter(tensors.values())).device):\n"
                         "        buffers = {name: (t.data_ptr(), t.numel() * t.element_size()) for name, t in tensors.items()}\n"
                         "        _kernel().launch(buffers, stream=torch.cuda.current_stream().cuda_stream, **given)\n\n\n"
                         "@_op.register_fake\ndef _(");
    operands(x, "%", NULL);
    hone_str_add(x->out, ", values):\n    return None\n\n\n");
}

static void torch_function(exporting *x) {
    export_put(x, "def @(");
    operands(x, "%", "given");
    export_put(
        x,
        ", **values):\n    \"\"\"Runs @. Sizes come from the tensors' shapes; what no shape says, and scalars, are keywords. Returns what it writes.\"\"\"\n    tensors = {");
    operands(x, "\"$\": %", "given");
    hone_str_add(x->out, "}\n    for name, (tensor, axis) in FROM.items():\n        values.setdefault(name, tensors[tensor].shape[axis])\n"
                         "    shapes = _kernel().shapes(**values)\n"
                         "    device = next(iter(tensors.values())).device if tensors else torch.device(\"cuda\")\n"
                         "    for name in OUTPUTS:\n"
                         "        tensors[name] = torch.empty(shapes[name], dtype=TYPES[name], device=device)\n"
                         "    _op(*[tensors[name] for name in TYPES], json.dumps(values))\n"
                         "    written = [tensors[name] for name in WRITTEN]\n"
                         "    return written[0] if len(written) == 1 else tuple(written)\n");
}

static void name_list(exporting *x, const char *name, bool inout) {
    hone_str_addf(x->out, "%s = [", name);
    for (size_t i = 0; i < x->t->n_args; i++)
        if (x->t->args[i].role == HONE_OUT || (inout && x->t->args[i].role == HONE_INOUT))
            hone_str_addf(x->out, "\"%s\", ", x->t->args[i].name);
    hone_str_add(x->out, "]\n");
}

hone_code export_torch(exporting *x) {
    export_put(
        x, "\"\"\"@ as an operator of PyTorch: torch.ops.hone.@, and the function @() here, which finds sizes and makes the outputs.\n\n");
    export_origin(x, "");
    export_put(x, "\n    from @_torch import @\n    result = @(");
    operands(x, "%", "given");
    export_put(x, ")\n\nTensors are contiguous and on one CUDA device. Needs PyTorch 2.4 or newer and @.py beside this file.\n\"\"\"\n"
                  "import functools\nimport json\n\nimport torch\n\nimport @ as loader\n\n");
    name_list(x, "OUTPUTS", false);
    name_list(x, "WRITTEN", true);
    torch_types(x);
    hone_str_add(x->out, "@functools.cache\n");
    export_put(x, "def _kernel():\n    return loader.^()\n\n\n");
    hone_str_add(x->out, torch_check);
    torch_op(x);
    torch_function(x);
    return hone_str_check(x->out, "the PyTorch operator", x->e);
}
