// Ed25519: a published example, the key file's life, and that nothing but the signed bytes passes.
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

// source: RFC 8032, 7.1, test 2
static void signatures_of_the_standard(void **state) {
    (void)state;
    static const char key[] = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    static const char good[] = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
    char bad[sizeof good];
    assert_int_equal(hone_signature_check(key, "r", 1, good, NULL), HONE_OK);
    assert_int_equal(hone_signature_check(key, "s", 1, good, NULL), HONE_E_CORRUPT);
    assert_int_equal(hone_signature_check(key, "", 0, good, NULL), HONE_E_CORRUPT);
    for (size_t i = 0; i < sizeof good - 1; i++) {
        memcpy(bad, good, sizeof good);
        bad[i] = bad[i] == '7' ? '8' : '7';
        assert_int_equal(hone_signature_check(key, "r", 1, bad, NULL), HONE_E_CORRUPT);
    }
    assert_int_equal(hone_signature_check("3d40", "r", 1, good, NULL), HONE_E_CORRUPT);
    assert_int_equal(hone_signature_check(key, "r", 1, "", NULL), HONE_E_CORRUPT);
}

static void the_key_file(void **state) {
    (void)state;
    char top[] = "/tmp/hone-key-XXXXXX", dir[64], path[80], command[100], first[HONE_PUBLIC_HEX], signature[HONE_SIGNATURE_HEX];
    assert_non_null(mkdtemp(top));
    snprintf(dir, sizeof dir, "%s/config/hone", top);
    snprintf(path, sizeof path, "%s/key.pem", dir);
    snprintf(command, sizeof command, "rm -r %s", top);
    hone_key *k = NULL;
    hone_err e = {0};
    struct stat st;
    umask(0);
    assert_int_equal(hone_key_open(dir, &k, &e), HONE_OK);   // made
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    snprintf(first, sizeof first, "%s", hone_key_public(k));
    assert_int_equal(hone_key_sign(k, "text", 4, signature, &e), HONE_OK);
    assert_int_equal(hone_signature_check(first, "text", 4, signature, &e), HONE_OK);
    hone_key_free(k);
    assert_int_equal(hone_key_open(dir, &k, &e), HONE_OK);   // kept
    assert_string_equal(hone_key_public(k), first);
    hone_key_free(k);
    assert_int_equal(hone_key_open(NULL, &k, &e), HONE_OK);   // of this process alone
    assert_string_not_equal(hone_key_public(k), first);
    hone_key_free(k);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(hone_key_open(dir, &k, &e), HONE_E_CORRUPT);
    assert_non_null(strstr(e.msg, "640"));
    assert_null(k);
    assert_int_equal(hone_write_file(path, "no key", 6, NULL), HONE_OK);
    assert_int_equal(chmod(path, 0600), 0);
    hone_err_clear(&e);
    assert_int_equal(hone_key_open(dir, &k, &e), HONE_E_CORRUPT);
    assert_int_equal(hone_key_open(path, &k, NULL), HONE_E_IO);   // not a folder
    assert_int_equal(system(command), 0);
}

static void the_folder(void **state) {
    (void)state;
    static const struct { const char *own, *xdg, *home, *is; } table[] = {
        {"/own", "/xdg", "/home/u", "/own"}, {"", "/xdg", "/home/u", "/xdg/hone"}, {"", "relative", "/home/u", "/home/u/.config/hone"}, {"", "", "", NULL}};
    for (size_t i = 0; i < HONE_COUNT(table); i++) {
        setenv("HONE_CONFIG_DIR", table[i].own, 1);
        setenv("XDG_CONFIG_HOME", table[i].xdg, 1);
        setenv("HOME", table[i].home, 1);
        char *dir = hone_config_dir();
        assert_true(table[i].is ? dir && !strcmp(dir, table[i].is) : !dir);
        hone_free(dir);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(signatures_of_the_standard), cmocka_unit_test(the_key_file), cmocka_unit_test(the_folder)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
