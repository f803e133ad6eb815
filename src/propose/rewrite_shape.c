// propose/rewrite_shape: moves that change how threads are laid over the data: block extents, which thread axis runs along which data
// axis, several elements per thread, index digits by grid axes. All work on the usual frame (rewrite_frame.c) only.
#include "propose/rewrite.h"
#include <string.h>

static void emit_block(rw *r, const rw_unit *u, const rw_frame *f, const int64_t now[3], const int shape[3])
{
    if (shape[0] == now[0] && shape[1] == now[1] && shape[2] == now[2])
        return;
    rw_grid g = rw_grid_of(r, u);
    for (unsigned a = 0; a < 3; a++) {
        const char *reach = rw_reach(r, g.grid[a], g.block[a]);
        g.block[a] = rw_text(r, "%d", shape[a]);
        if (f->axis[a].found)
            g.grid[a] = shape[a] == 1 ? reach : rw_text(r, "cdiv(%s, %d)", reach, shape[a]);
    }
    rw_set_launch(r, u, &g);
    rw_emit(r, NULL, 0, rw_text(r, "%s with blocks of %dx%dx%d", u->kernel->name, shape[0], shape[1], shape[2]));
}

void rw_move_block_shape(rw *r)
{
    static const int one[][3] = {{128, 1, 1}, {512, 1, 1}, {64, 1, 1}, {1024, 1, 1}, {256, 1, 1}};
    static const int two[][3] = {{32, 8, 1}, {64, 4, 1}, {32, 16, 1}, {128, 2, 1}, {16, 16, 1},
                                 {64, 8, 1}, {32, 4, 1}, {8, 32, 1},  {32, 32, 1}, {256, 1, 1}};
    static const int three[][3] = {{32, 4, 2}, {64, 4, 1}, {32, 8, 1},  {64, 2, 2},  {128, 2, 1},
                                   {32, 4, 4}, {32, 2, 2}, {128, 1, 1}, {256, 1, 1}, {16, 4, 4}};
    for (size_t k = 0; k < r->n_units; k++) {
        const rw_unit *u = &r->unit[k];
        rw_frame f;
        int64_t now[3];
        if (!rw_frame_of(u, &f) || !rw_block_size(u, now))
            continue;
        bool z = f.axis[2].found, y = f.axis[1].found;
        const int(*list)[3] = z ? three : y ? two : one;
        size_t n = z ? HONE_COUNT(three) : y ? HONE_COUNT(two) : HONE_COUNT(one);
        for (size_t i = 0; i < n && !rw_full(r); i++)
            emit_block(r, u, &f, now, list[i]);
    }
}

static void exchange_members(rw *r, const rw_unit *u, char a, char b)
{
    static const char *const objects[] = {"threadIdx", "blockIdx", "blockDim", "gridDim"};
    for (size_t i = 0; i < u->ast.n; i++) {
        const hone_node *n = u->ast.all[i];
        for (size_t o = 0; o < HONE_COUNT(objects); o++) {
            if (hone_node_is_builtin(n, objects[o], a))
                rw_replace_node(r, u, n, rw_text(r, "%s.%c", objects[o], b));
            else if (hone_node_is_builtin(n, objects[o], b))
                rw_replace_node(r, u, n, rw_text(r, "%s.%c", objects[o], a));
        }
    }
}

void rw_move_axis_exchange(rw *r)
{
    for (size_t k = 0; k < r->n_units; k++) {
        const rw_unit *u = &r->unit[k];
        rw_frame f;
        if (!rw_frame_of(u, &f) || f.n_axes < 2)
            continue;
        for (unsigned other = 1; other < 3; other++) {
            if (!f.axis[0].found || !f.axis[other].found)
                continue;
            rw_grid g = rw_grid_of(r, u);
            const char *reach_x = rw_reach(r, g.grid[0], g.block[0]), *reach_o = rw_reach(r, g.grid[other], g.block[other]);
            g.grid[0] = rw_text(r, "cdiv(%s, %s)", reach_o, g.block[0]);
            g.grid[other] = rw_text(r, "cdiv(%s, %s)", reach_x, g.block[other]);
            exchange_members(r, u, 'x', (char)('x' + other));
            rw_set_launch(r, u, &g);
            rw_emit(
                r, NULL, 0,
                rw_text(r, "threads of a warp run along '%s' instead of '%s' in %s", f.axis[other].name, f.axis[0].name, u->kernel->name));
        }
    }
}

static bool inside_loop(const hone_node *n, const hone_node *stop)
{
    for (; n && n != stop; n = n->parent)
        if (n->kind == HONE_N_FOR || n->kind == HONE_N_WHILE || n->kind == HONE_N_DO)
            return true;
    return false;
}

// The work of a frame with every `return;` turned into `continue;`, indented by one more level; NULL when a return sits in an inner loop.
static const char *inner_as_loop_body(rw *r, const rw_unit *u, const rw_frame *f)
{
    rw_subst s[16];
    size_t n = 0;
    for (size_t k = 0; k < f->n_inner; k++) {
        HONE_EACH_NODE(&u->ast, f->inner[k], x) {
            if (x->kind != HONE_N_RETURN)
                continue;
            if (x->kid[0] || inside_loop(x, u->ast.body) || n == HONE_COUNT(s))
                return NULL;
            s[n++] = (rw_subst){.node = x, .text = "continue;"};
        }
    }
    const char *indent = rw_indent(r, hone_node_at(&u->ast, f->inner[0])), *text = "";
    for (size_t k = 0; k < f->n_inner; k++)
        text = rw_text(r, "%s%s%s%s\n", text, indent, f->early ? "    " : "", rw_render(r, u, f->inner[k], s, n));
    return text;
}

void rw_move_coarsen(rw *r)
{
    static const int factors[] = {4, 2, 8, 16};
    for (size_t k = 0; k < r->n_units; k++) {
        const rw_unit *u = &r->unit[k];
        rw_frame f;
        if (!rw_frame_of(u, &f) || f.n_axes != 1 || !f.axis[0].found || !f.n_inner)
            continue;
        const char *body = inner_as_loop_body(r, u, &f);
        for (size_t i = 0; body && i < HONE_COUNT(factors) && !rw_full(r); i++) {
            rw_grid g = rw_grid_of(r, u);
            const rw_axis *x = &f.axis[0];
            const char *indent = rw_indent(r, hone_node_at(&u->ast, x->decl));
            size_t end = f.early ? hone_node_end(&u->ast, f.inner[f.n_inner - 1]) : hone_node_end(&u->ast, f.guard);
            rw_replace(r, hone_node_at(&u->ast, x->decl), end,
                       rw_text(r, "for (%s %s = %s; %s < %s; %s += blockDim.x * gridDim.x) {   // about %d elements per thread\n%s%s}",
                               x->type, x->name, hone_node_text(&u->ast, x->decl->kid[0]->kid[0]), x->name,
                               hone_node_text(&u->ast, x->bound), x->name, factors[i], body, indent));
            g.grid[0] = rw_text(r, "cdiv(%s, %d)", g.grid[0], factors[i]);
            rw_set_launch(r, u, &g);
            rw_emit(r, NULL, 0, rw_text(r, "%d elements per thread in %s", factors[i], u->kernel->name));
        }
    }
}
