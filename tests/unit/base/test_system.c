// Files, child processes, messages: what works and what each failure says.
#include "base/base.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[] = "/tmp/hone-test-XXXXXX";

static int make_dir(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    return mkdtemp(dir) ? 0 : 1;
}

static int remove_dir(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void files_round_trip_and_refuse(void **state) {
    (void)state;
    hone_err e = {0};
    char *path = hone_path_join(dir, "a/b/c.txt"), *folder = hone_path_join(dir, "a/b"), *text;
    size_t n;
    assert_int_equal(hone_write_file(path, "x", 1, &e), HONE_E_IO);
    assert_int_equal(e.sub, ENOENT);
    hone_err_clear(&e);
    assert_int_equal(hone_mkdirs(folder, &e), HONE_OK);
    assert_int_equal(hone_mkdirs(folder, &e), HONE_OK);
    assert_int_equal(hone_write_file(path, "hello", 5, &e), HONE_OK);
    assert_int_equal(hone_read_file(path, 5, &text, &n, &e), HONE_OK);
    assert_int_equal(n, 5);
    assert_string_equal(text, "hello");
    hone_free(text);
    assert_int_equal(hone_read_file(path, 4, &text, &n, &e), HONE_E_LIMIT);
    hone_err_clear(&e);
    assert_int_equal(hone_read_file(folder, 100, &text, &n, &e), HONE_E_IO);
    assert_int_equal(e.sub, EISDIR);
    hone_err_clear(&e);
    assert_int_equal(hone_mkdirs(path, &e), HONE_E_IO);
    assert_true(hone_is_file(path));
    assert_false(hone_is_file(folder));
    assert_string_equal(hone_path_base(path), "c.txt");
    hone_free(path);
    hone_free(folder);
}

static void a_full_disk_is_reported(void **state) {
    (void)state;
    hone_err e = {0};
    char *text;
    size_t n;
    assert_int_equal(hone_write_file("/proc/hone-cannot-write", "x", 1, &e), HONE_E_IO);
    hone_err_clear(&e);
    assert_int_equal(hone_read_file("/no/such/file", 10, &text, &n, &e), HONE_E_IO);
    assert_int_equal(e.sub, ENOENT);
    assert_non_null(strstr(e.msg, "'/no/such/file'"));
}

static void children_run_and_their_output_is_bounded(void **state) {
    (void)state;
    hone_err e = {0};
    hone_str out, err;
    int status = 0;
    char *argv[] = {"sh", "-c", "echo out; echo $GREETING >&2; exit 3", NULL};
    const char *env[] = {"GREETING=hi", NULL};
    assert_int_equal(hone_proc_run(argv, env, 5000, 100, &out, &err, &status, &e), HONE_OK);
    assert_string_equal(out.s, "out\n");
    assert_string_equal(err.s, "hi\n");
    assert_int_equal(WEXITSTATUS(status), 3);
    hone_str_free(&out);
    hone_str_free(&err);
    char *flood[] = {"sh", "-c", "yes | head -c 1000000", NULL};
    assert_int_equal(hone_proc_run(flood, NULL, 20000, 1000, &out, &err, &status, &e), HONE_OK);
    assert_true(out.len <= 1000);
    hone_str_free(&out);
    hone_str_free(&err);
}

static void a_child_that_hangs_is_killed_with_its_own_children(void **state) {
    (void)state;
    hone_err e = {0};
    hone_str out, err;
    int status;
    char *argv[] = {"sh", "-c", "sleep 100 & sleep 100", NULL};
    assert_int_equal(hone_proc_run(argv, NULL, 100, 100, &out, &err, &status, &e), HONE_E_TIMEOUT);
    hone_str_free(&out);
    hone_str_free(&err);
}

static void a_missing_program_is_named(void **state) {
    (void)state;
    hone_err e = {0};
    hone_proc p;
    char *argv[] = {"/no/such/program", NULL};
    hone_proc_spec s = {.argv = argv};
    assert_int_equal(hone_proc_start(&s, &p, &e), HONE_E_IO);
    assert_int_equal(e.sub, ENOENT);
    assert_non_null(strstr(e.msg, "/no/such/program"));
}

static void messages_survive_pipes(void **state) {
    (void)state;
    hone_err e = {0};
    hone_proc p;
    char *argv[] = {"cat", NULL};
    hone_proc_spec s = {.argv = argv, .new_group = true};
    assert_int_equal(hone_proc_start(&s, &p, &e), HONE_OK);
    enum { N = 30000 };   // under the pipe's capacity: nobody reads until all is written
    char *text = hone_malloc(N), *back;
    size_t n;
    memset(text, 'x', N);
    assert_int_equal(hone_msg_write(p.in_fd, text, N, 2000, &e), HONE_OK);
    assert_int_equal(hone_msg_read(p.out_fd, N, 2000, &back, &n, &e), HONE_OK);
    assert_int_equal(n, N);
    assert_memory_equal(text, back, N);
    hone_free(back);
    assert_int_equal(hone_msg_read(p.out_fd, N, 50, &back, &n, &e), HONE_E_TIMEOUT);
    hone_err_clear(&e);
    assert_int_equal(hone_msg_write(p.in_fd, text, 100, 2000, &e), HONE_OK);
    assert_int_equal(hone_msg_read(p.out_fd, 99, 2000, &back, &n, &e), HONE_E_LIMIT);
    hone_free(text);
    hone_proc_kill(&p);
}

static void a_closed_pipe_is_an_end_not_a_crash(void **state) {
    (void)state;
    hone_err e = {0};
    int fd[2];
    char *back;
    size_t n;
    assert_int_equal(pipe(fd), 0);
    assert_int_equal(write(fd[1], "\x05\0\0\0ab", 6), 6);   // says 5, gives 2
    close(fd[1]);
    assert_int_equal(hone_msg_read(fd[0], 100, 1000, &back, &n, &e), HONE_E_IO);
    assert_int_equal(e.sub, EPIPE);
    close(fd[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_round_trip_and_refuse), cmocka_unit_test(a_full_disk_is_reported),
        cmocka_unit_test(children_run_and_their_output_is_bounded), cmocka_unit_test(a_child_that_hangs_is_killed_with_its_own_children),
        cmocka_unit_test(a_missing_program_is_named), cmocka_unit_test(messages_survive_pipes), cmocka_unit_test(a_closed_pipe_is_an_end_not_a_crash),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
