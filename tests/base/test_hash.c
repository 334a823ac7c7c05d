/* Hashes: src/base/hash.c and sha256.c. The SHA-256 digests are the examples of FIPS 180-2, appendix B, and
 * of the empty text. */
#include "base/base.h"
#include "support/support.h"

static void digest_once(const char *text, size_t bytes, size_t piece, bool plain, char hex[65])
{
    qvk__sha256 sha;

    qvk__sha256_begin(&sha);
    if (plain)
        sha.has_instructions = false;
    for (size_t done = 0; done < bytes; done += piece)
        qvk__sha256_add(&sha, text + done, QVK__MIN(piece, bytes - done));
    qvk__sha256_end(&sha, hex);
}

/* With the processor's instructions, where it has them, and without: both must agree. */
static void digest_in_pieces(const char *text, size_t bytes, size_t piece, char hex[65])
{
    char plain[65];

    digest_once(text, bytes, piece, false, hex);
    digest_once(text, bytes, piece, true, plain);
    assert_string_equal(hex, plain);
}

static void sha256_of_known_texts(void **state)
{
    static const struct {
        const char *text, *hex;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hex[65];

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(cases); i++) {
        digest_in_pieces(cases[i].text, strlen(cases[i].text), 64, hex);
        assert_string_equal(hex, cases[i].hex);
    }
}

static void sha256_of_a_million_letters_in_any_pieces(void **state)
{
    enum { N = 1000000 };
    static const size_t pieces[] = {1, 63, 64, 65, 4096, N};
    char *text = malloc(N), hex[65];

    (void)state;
    assert_non_null(text);
    memset(text, 'a', N);
    for (size_t i = 0; i < QVK__COUNT(pieces); i++) {
        digest_in_pieces(text, N, pieces[i], hex);
        assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    }
    free(text);
}

static void sha256_padding_at_every_length_of_a_block(void **state)
{
    char text[130], whole[65], pieces[65];

    (void)state;
    memset(text, 'q', sizeof text);
    for (size_t n = 0; n <= sizeof text; n++) {
        digest_in_pieces(text, n, sizeof text, whole);
        digest_in_pieces(text, n, 7, pieces);
        assert_string_equal(whole, pieces);
    }
}

static void hash64_depends_on_every_byte_and_the_seed(void **state)
{
    char text[] = "layers.0.weight";
    const uint64_t hash = qvk__hash64(text, sizeof text, 0);

    (void)state;
    assert_true(qvk__hash64(text, sizeof text, 0) == hash);
    assert_true(qvk__hash64(text, sizeof text, 1) != hash);
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] ^= 1;
        assert_true(qvk__hash64(text, sizeof text, 0) != hash);
        text[i] ^= 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_of_known_texts),
        cmocka_unit_test(sha256_of_a_million_letters_in_any_pieces),
        cmocka_unit_test(sha256_padding_at_every_length_of_a_block),
        cmocka_unit_test(hash64_depends_on_every_byte_and_the_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
