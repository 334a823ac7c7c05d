/* Zip archives: what the writer makes, the reader reads, in torch's layout; what is broken is refused. */
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

#include "pt2/zip_crc.h"
#include "pt2/zip_read.h"
#include "pt2/zip_write.h"
#include "support/support.h"

static void put(qvk__string *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        qvk__string_addf(to, "%c", i < 8 ? (int)(value >> (8 * i) & 0xff) : 0);
}

/* An archive "r/a", "r/b/c" with known contents. */
static qvk__string small_archive(void)
{
    qvk__string memory = {0};
    qvk__zip_writer zip;

    qvk__zip_writer_init(&zip, NULL, &memory, "r/");
    assert_int_equal(qvk__zip_entry_write(&zip, "a", "alpha", 5, NULL), QVK_OK);
    assert_int_equal(qvk__zip_begin(&zip, "b/c", 6, NULL), QVK_OK);
    assert_int_equal(qvk__zip_add(&zip, "gam", 3, NULL), QVK_OK);
    assert_int_equal(qvk__zip_add(&zip, "ma!", 3, NULL), QVK_OK);
    assert_int_equal(qvk__zip_end(&zip, NULL), QVK_OK);
    assert_int_equal(qvk__zip_entry_write(&zip, "empty", NULL, 0, NULL), QVK_OK);
    assert_int_equal(qvk__zip_write_directory(&zip, NULL), QVK_OK);
    qvk__zip_writer_finish(&zip);
    return memory;
}

static void what_is_written_is_read_in_place(void **state)
{
    qvk__string memory = small_archive();
    const uint8_t *start = (const uint8_t *)memory.data, *data;
    qvk__arena arena = {0};
    uint64_t bytes;
    qvk__zip zip;

    (void)state;
    assert_int_equal(qvk__zip_open(start, memory.count, "t.zip", &arena, &zip, NULL), QVK_OK);
    assert_string_equal(zip.root, "r/");
    assert_int_equal(zip.entries.count, 3);
    assert_int_equal(qvk__zip_get(&zip, "a", &data, &bytes, NULL), QVK_OK);
    assert_int_equal(bytes, 5);
    assert_memory_equal(data, "alpha", 5);
    assert_int_equal((data - start) % 64, 0);
    assert_int_equal(qvk__zip_get(&zip, "b/c", &data, &bytes, NULL), QVK_OK);
    assert_memory_equal(data, "gamma!", 6);
    assert_int_equal((data - start) % 64, 0);
    assert_int_equal(qvk__zip_get(&zip, "empty", &data, &bytes, NULL), QVK_OK);
    assert_int_equal(bytes, 0);
    assert_null(qvk__zip_find(&zip, "c"));
    assert_int_equal(qvk__zip_get(&zip, "c", &data, &bytes, NULL), QVK_BAD_FORMAT);
    qvk__zip_close(&zip);
    qvk__arena_free(&arena);
    free(memory.data);
}

static void checksums_are_those_of_zlib(void **state)
{
    enum { MOST = 400 };
    uint8_t data[MOST + 16];

    (void)state;
    for (int i = 0; i < MOST + 16; i++)
        data[i] = (uint8_t)(i * 73 >> 2);
    for (unsigned n = 0; n <= MOST; n++) {
        const uint8_t *from = data + n % 16;
        const uint32_t half = qvk__zip_crc(0, from, n / 2), rest = qvk__zip_crc(0, from + n / 2, n - n / 2);
        const uint32_t wanted = (uint32_t)crc32(0, from, n);
        assert_int_equal(qvk__zip_crc(0, from, n), wanted);
        assert_int_equal(qvk__zip_crc(half, from + n / 2, n - n / 2), wanted);
        assert_int_equal(qvk__zip_crc_join(half, rest, n - n / 2), wanted);
    }
}

/* ---- entries in parts ------------------------------------------------------------------------------------ */

enum { BIG = 3 << 20, GRAIN = 1000 };

typedef struct counting {
    bool borrowed, failing;
    uint8_t data[BIG]; /* what the entry is to hold */
} counting;

static qvk_status get_counting(void *user, uint64_t offset, uint64_t bytes, void *buffer, const void **data,
                               qvk_error *err)
{
    counting *it = user;

    QVK__CHECK(offset % GRAIN == 0, err, QVK_INTERNAL, "offset off the grain");
    QVK__CHECK(!it->failing || offset == 0, err, QVK_IO, "the rest cannot be read");
    if (it->borrowed)
        *data = it->data + offset;
    else
        memcpy(buffer, it->data + offset, (size_t)bytes);
    return QVK_OK;
}

static qvk_status write_big(const counting *it, const char *path, bool in_parts, qvk_error *err)
{
    const qvk__zip_source source = {BIG, GRAIN, get_counting, (void *)(uintptr_t)it};
    qvk__writer file = {.descriptor = -1};
    qvk__zip_writer zip = {0};
    qvk_status status;

    QVK__TRY(qvk__writer_open(path, &file, err));
    qvk__zip_writer_init(&zip, &file, NULL, "r/");
    QVK__TRY_GO(qvk__zip_entry_write(&zip, "first", "alpha", 5, err));
    QVK__TRY_GO(in_parts ? qvk__zip_entry_write_parts(&zip, "big", &source, err)
                         : qvk__zip_entry_write(&zip, "big", it->data, BIG, err));
    QVK__TRY_GO(qvk__zip_entry_write(&zip, "last", "omega", 5, err));
    QVK__TRY_GO(qvk__zip_write_directory(&zip, err));
    QVK__TRY_GO(qvk__writer_commit(&file, err));
done:
    qvk__writer_abandon(&file);
    qvk__zip_writer_finish(&zip);
    return status;
}

static void parts_make_the_same_archive(void **state)
{
    counting *it = calloc(1, sizeof *it);
    char *dir = test_temp_dir(), *whole = test_path(dir, "whole.zip"), *parts = test_path(dir, "parts.zip");
    size_t n_wanted, n;

    (void)state;
    assert_non_null(it);
    for (size_t i = 0; i < BIG; i++)
        it->data[i] = (uint8_t)(i * i >> 8);
    assert_int_equal(write_big(it, whole, false, NULL), QVK_OK);
    for (int i = 0; i < 2; i++) {
        uint8_t *wanted = test_read_file(whole, &n_wanted), *got;
        it->borrowed = i;
        assert_int_equal(write_big(it, parts, true, NULL), QVK_OK);
        got = test_read_file(parts, &n);
        assert_int_equal(n, n_wanted);
        assert_memory_equal(got, wanted, n);
        free(got);
        free(wanted);
    }
    test_temp_dir_remove(&dir);
    free(whole);
    free(parts);
    free(it);
}

static void a_part_that_fails_leaves_no_file(void **state)
{
    counting *it = calloc(1, sizeof *it);
    char *dir = test_temp_dir(), *path = test_path(dir, "parts.zip");
    qvk_error err;

    (void)state;
    assert_non_null(it);
    it->failing = true;
    assert_int_equal(write_big(it, path, true, &err), QVK_IO);
    assert_string_equal(err.message, "the rest cannot be read");
    assert_int_equal(access(path, F_OK), -1);
    test_temp_dir_remove(&dir);
    free(path);
    free(it);
}

/* ---- layout ---------------------------------------------------------------------------------------------- */

/* The layout of spec and torch: flags, descriptor with the checksum, padding field, ZIP64 end. */
static void the_layout_is_torchs(void **state)
{
    qvk__string memory = small_archive();
    const uint8_t *bytes = (const uint8_t *)memory.data;
    uint32_t sum = (uint32_t)crc32(0, (const uint8_t *)"alpha", 5), read;

    (void)state;
    assert_memory_equal(bytes, "PK\x03\x04", 4);
    assert_int_equal(bytes[6] | bytes[7] << 8, 0x0808);
    assert_memory_equal(bytes + 14, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
    assert_memory_equal(bytes + 30 + 3, "FB", 2);
    assert_memory_equal(bytes + 64, "alphaPK\x07\x08", 9);
    memcpy(&read, bytes + 64 + 9, 4);
    assert_int_equal(read, sum);
    assert_memory_equal(bytes + memory.count - 22, "PK\x05\x06", 4);
    assert_memory_equal(bytes + memory.count - 22 - 20, "PK\x06\x07", 4);
    assert_memory_equal(bytes + memory.count - 22 - 20 - 56, "PK\x06\x06", 4);
    free(memory.data);
}

static void wrong_use_of_the_writer_is_found(void **state)
{
    qvk__string memory = {0};
    qvk__zip_writer zip;

    (void)state;
    qvk__zip_writer_init(&zip, NULL, &memory, "");
    assert_int_equal(qvk__zip_begin(&zip, "a", 4, NULL), QVK_OK);
    assert_int_equal(qvk__zip_begin(&zip, "b", 4, NULL), QVK_INTERNAL);
    assert_int_equal(qvk__zip_add(&zip, "abc", 3, NULL), QVK_OK);
    assert_int_equal(qvk__zip_end(&zip, NULL), QVK_INTERNAL);
    qvk__zip_writer_finish(&zip);
    free(memory.data);
}

/* A one-entry archive made by hand, with everything that can be wrong in it. */
typedef struct handmade {
    const char *name;
    int method, flags;
    const void *data;
    uint64_t packed, unpacked; /* as the directory says; data has `stored` bytes */
    uint64_t stored, local_offset;
    int copies; /* of the directory's entry */
} handmade;

static qvk__string make(const handmade *m)
{
    qvk__string out = {0};
    size_t start;

    put(&out, 0x04034b50, 4);
    put(&out, 20, 2);
    put(&out, (uint64_t)m->flags | 8, 2);
    put(&out, (uint64_t)m->method, 2);
    put(&out, 0, 16);
    put(&out, strlen(m->name), 2);
    put(&out, 0, 2);
    qvk__string_add(&out, m->name);
    for (uint64_t i = 0; i < m->stored; i++)
        put(&out, ((const uint8_t *)m->data)[i], 1);
    start = out.count;
    for (int i = 0; i < m->copies; i++) {
        put(&out, 0x02014b50, 4);
        put(&out, 20, 2);
        put(&out, 20, 2);
        put(&out, (uint64_t)m->flags | 8, 2);
        put(&out, (uint64_t)m->method, 2);
        put(&out, 0, 4);
        put(&out, crc32(0, (const uint8_t *)"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 32), 4);
        put(&out, m->packed, 4);
        put(&out, m->unpacked, 4);
        put(&out, strlen(m->name), 2);
        put(&out, 0, 12);
        put(&out, m->local_offset, 4);
        qvk__string_add(&out, m->name);
    }
    put(&out, 0x06054b50, 4);
    put(&out, 0, 4);
    put(&out, (uint64_t)m->copies, 2);
    put(&out, (uint64_t)m->copies, 2);
    put(&out, out.count - start - 12, 4);
    put(&out, start, 4);
    put(&out, 0, 2);
    return out;
}

static size_t deflated(uint8_t *out, size_t room)
{
    z_stream stream = {.next_in = (uint8_t *)(uintptr_t) "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                       .avail_in = 32,
                       .next_out = out,
                       .avail_out = (uInt)room};

    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return stream.total_out;
}

static qvk_status read_entry(const handmade *m, const char *expected, qvk_error *err)
{
    qvk__string made = make(m);
    uint8_t *exact = malloc(made.count);
    qvk__arena arena = {0};
    const uint8_t *data;
    qvk_status status;
    uint64_t bytes;
    qvk__zip zip;

    memcpy(exact, made.data, made.count);
    status = qvk__zip_open(exact, made.count, "t.zip", &arena, &zip, err);
    if (status == QVK_OK) {
        status = qvk__zip_get(&zip, m->name, &data, &bytes, err);
        if (status == QVK_OK && expected) {
            assert_int_equal(bytes, strlen(expected));
            assert_memory_equal(data, expected, strlen(expected));
        }
        qvk__zip_close(&zip);
    }
    qvk__arena_free(&arena);
    free(made.data);
    free(exact);
    return status;
}

static void compressed_entries_are_inflated(void **state)
{
    uint8_t packed[64];
    size_t n = deflated(packed, sizeof packed);
    handmade m = {
        .name = "x", .method = 8, .data = packed, .packed = n, .unpacked = 32, .stored = n, .copies = 1};
    qvk_error err;

    (void)state;
    assert_int_equal(read_entry(&m, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &err), QVK_OK);
    packed[1] ^= 0x10;
    assert_int_equal(read_entry(&m, NULL, &err), QVK_BAD_FORMAT);
    assert_true(qvk__starts_with(err.message, "t.zip: entry x"));
}

static void broken_archives_are_refused(void **state)
{
    static const struct {
        handmade made;
        qvk_status status;
        const char *words;
    } cases[] = {
        {{"x", 0, 0, "data", 4, 4, 4, 0, 1}, QVK_OK, ""},
        {{"x", 0, 1, "data", 4, 4, 4, 0, 1}, QVK_UNSUPPORTED, "entry x is encrypted"},
        {{"x", 12, 0, "data", 4, 4, 4, 0, 1}, QVK_UNSUPPORTED, "compression method 12"},
        {{"x", 0, 0, "data", 4, 5, 4, 0, 1}, QVK_BAD_FORMAT, "its two sizes differ"},
        {{"x", 0, 0, "data", 4000, 4000, 4, 0, 1}, QVK_BAD_FORMAT, "do not fit into the file"},
        {{"x", 8, 0, "data", 4, 4000000000, 4, 0, 1}, QVK_BAD_FORMAT, "cannot unpack to 4000000000 bytes"},
        {{"x", 8, 0, "\xff\xff\xff\xff", 4, 100, 4, 0, 1}, QVK_BAD_FORMAT, "cannot be unpacked"},
        {{"x", 0, 0, "data", 4, 4, 4, 1, 1}, QVK_BAD_FORMAT, "its local header is not where"},
        {{"x", 0, 0, "data", 4, 4, 4, 3000, 1}, QVK_BAD_FORMAT, "its local header is not where"},
        {{"", 0, 0, "data", 4, 4, 4, 0, 1}, QVK_BAD_FORMAT, "has no proper name"},
        {{"x", 0, 0, "data", 4, 4, 4, 0, 2}, QVK_BAD_FORMAT, "entry x is there twice"},
        {{"x", 0, 0, "data", 4, 4, 4, 0, 0}, QVK_BAD_FORMAT, "the archive is empty"},
    };

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(cases); i++) {
        qvk_error err = {.message = ""};
        qvk_status status = read_entry(&cases[i].made, NULL, &err);
        if (status != cases[i].status || !strstr(err.message, cases[i].words))
            fail_msg("case %zu: %s: %s", i, qvk_status_name(status), err.message);
    }
}

/* An archive as torch writes it above 4 GiB: 32-bit fields full, the values in extra fields. Only the numbers
 * are small. `keep`: how many of the ZIP64 field's bytes there are. */
static qvk__string make_zip64(uint64_t size, uint64_t offset, int keep)
{
    qvk__string out = {0};
    size_t start, end;

    put(&out, 0x04034b50, 4);
    put(&out, 0x0808002d, 4);
    put(&out, 0, 6 + 4);
    put(&out, UINT64_MAX, 8);
    put(&out, 1, 2);
    put(&out, 0, 2);
    qvk__string_add(&out, "xdata");
    start = out.count;
    put(&out, 0x02014b50, 4);
    put(&out, 0x002d002d, 4);
    put(&out, 0x0808, 2);
    put(&out, 0, 2 + 4 + 4);
    put(&out, UINT64_MAX, 8);
    put(&out, 1, 2);
    put(&out, 5 + 4 + (uint64_t)keep, 2); /* another field first */
    put(&out, 0, 2 + 2 + 2 + 4);
    put(&out, UINT32_MAX, 4);
    qvk__string_add(&out, "x");
    put(&out, 'F' | 'B' << 8, 2);
    put(&out, 1, 2);
    put(&out, 'Z', 1);
    put(&out, 1, 2);
    put(&out, (uint64_t)keep, 2);
    for (int i = 0; i < keep; i++)
        put(&out, (i < 16 ? size : offset) >> (i % 8 * 8) & 0xff, 1);
    end = out.count;
    put(&out, 0x06064b50, 4);
    put(&out, 44, 8);
    put(&out, 0x002d002d, 4);
    put(&out, 0, 8);
    put(&out, 1, 8);
    put(&out, 1, 8);
    put(&out, end - start, 8);
    put(&out, start, 8);
    put(&out, 0x07064b50, 4);
    put(&out, 0, 4);
    put(&out, end, 8);
    put(&out, 1, 4);
    put(&out, 0x06054b50, 4);
    put(&out, 0, 4);
    put(&out, 0xffffffff, 4);
    put(&out, UINT64_MAX, 8);
    put(&out, 0, 2);
    return out;
}

static void zip64_archives_are_read(void **state)
{
    static const struct {
        uint64_t size, offset;
        int keep;
        qvk_status status;
        const char *words;
    } cases[] = {
        {4, 0, 24, QVK_OK, ""},
        {4, (uint64_t)1 << 40, 24, QVK_BAD_FORMAT, "its local header is not where"},
        {(uint64_t)5 << 32, 0, 24, QVK_BAD_FORMAT, "its 21474836480 bytes do not fit"},
        {UINT64_MAX, 0, 24, QVK_BAD_FORMAT, "do not fit"},
        {4, UINT64_MAX, 24, QVK_BAD_FORMAT, "its local header is not where"},
        {4, 0, 16, QVK_BAD_FORMAT, "entry 0 of the archive's directory is broken"},
        {4, 0, 23, QVK_BAD_FORMAT, "entry 0 of the archive's directory is broken"},
    };

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(cases); i++) {
        qvk__string made = make_zip64(cases[i].size, cases[i].offset, cases[i].keep);
        uint8_t *exact = malloc(made.count);
        qvk__arena arena = {0};
        qvk_error err = {.message = ""};
        const uint8_t *data;
        uint64_t bytes;
        qvk__zip zip;
        memcpy(exact, made.data, made.count);
        qvk_status status = qvk__zip_open(exact, made.count, "t.zip", &arena, &zip, &err);
        if (status != cases[i].status || !strstr(err.message, cases[i].words))
            fail_msg("case %zu: %s: %s", i, qvk_status_name(status), err.message);
        if (status == QVK_OK) {
            assert_int_equal(qvk__zip_get(&zip, "x", &data, &bytes, NULL), QVK_OK);
            assert_int_equal(bytes, 4);
            assert_memory_equal(data, "data", 4);
            qvk__zip_close(&zip);
        }
        qvk__arena_free(&arena);
        free(exact);
        free(made.data);
    }
}

/* Any single byte of the structures may be anything. */
static void flipped_bytes_never_do_harm(void **state)
{
    qvk__string memory = small_archive();

    (void)state;
    for (size_t i = 0; i < memory.count; i++) {
        static const uint8_t flips[] = {0x01, 0x80, 0xff};
        for (size_t f = 0; f < QVK__COUNT(flips); f++) {
            uint8_t *changed = malloc(memory.count);
            qvk__arena arena = {0};
            qvk__zip zip;
            memcpy(changed, memory.data, memory.count);
            changed[i] ^= flips[f];
            if (qvk__zip_open(changed, memory.count, "t.zip", &arena, &zip, NULL) == QVK_OK) {
                for (size_t e = 0; e < zip.entries.count; e++) {
                    const qvk__zip_entry *entry = &zip.entries.data[e];
                    if (entry->data)
                        assert_true(entry->data >= changed &&
                                    entry->bytes <= memory.count - (size_t)(entry->data - changed));
                }
                qvk__zip_close(&zip);
            }
            qvk__arena_free(&arena);
            free(changed);
        }
    }
    free(memory.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_in_place),
        cmocka_unit_test(checksums_are_those_of_zlib),
        cmocka_unit_test(parts_make_the_same_archive),
        cmocka_unit_test(a_part_that_fails_leaves_no_file),
        cmocka_unit_test(the_layout_is_torchs),
        cmocka_unit_test(wrong_use_of_the_writer_is_found),
        cmocka_unit_test(compressed_entries_are_inflated),
        cmocka_unit_test(broken_archives_are_refused),
        cmocka_unit_test(zip64_archives_are_read),
        cmocka_unit_test(flipped_bytes_never_do_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
