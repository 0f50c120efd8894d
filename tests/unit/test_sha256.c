/* SHA-256 beside the one of OpenSSL, at every length around the ends of blocks. */
#include "base/sha256.h"

#include <check.h>
#include <openssl/evp.h>
#include <stdlib.h>

START_TEST(as_openssl_says)
{
    uint8_t text[1000], ours[SHA256_SIZE], theirs[EVP_MAX_MD_SIZE];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * 7 + i / 256);
    for (size_t n = 0; n <= sizeof text; n++) {
        sha256(ours, text, n);
        ck_assert_int_eq(EVP_Digest(text, n, theirs, NULL, EVP_sha256(), NULL), 1);
        ck_assert_mem_eq(ours, theirs, SHA256_SIZE);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sha256");
    TCase *t = tcase_create("sha256");
    tcase_add_test(t, as_openssl_says);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
