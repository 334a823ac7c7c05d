/* Our FlatBuffers writer and verifier: round trips, and every kind of damage the verifier must find. */
#include "base/base.h"
#include "program/flatbuffer_writer.h"
#include "support/support.h"

/* A schema with every kind of field. Tables 2 and 3 are the members of the union. */
enum { T_ROOT, T_LEAF, T_LEFT, T_RIGHT };
enum {
    F_BYTE,
    F_INT,
    F_LONG,
    F_DOUBLE,
    F_TEXT,
    F_BYTES,
    F_INTS,
    F_LONGS,
    F_LEAF,
    F_LEAVES,
    F_CHOICE_TAG,
    F_CHOICE
};
enum { LEAF_NUMBER, LEAF_LEAF };

static const qvk__fb_field root_fields[] = {
    {"byte", QVK__FB_SCALAR1, 0, 0},        {"int", QVK__FB_SCALAR4, 0, 0},
    {"long", QVK__FB_SCALAR8, 0, 0},        {"double", QVK__FB_SCALAR8, 0, 0},
    {"text", QVK__FB_STRING, 0, 0},         {"bytes", QVK__FB_VECTOR1, 0, 0},
    {"ints", QVK__FB_VECTOR4, 0, 0},        {"longs", QVK__FB_VECTOR8, 0, 0},
    {"leaf", QVK__FB_TABLE, T_LEAF, 0},     {"leaves", QVK__FB_TABLES, T_LEAF, 0},
    {"choice_type", QVK__FB_SCALAR1, 0, 0}, {"choice", QVK__FB_UNION, T_LEFT, T_RIGHT},
};
static const qvk__fb_field leaf_fields[] = {
    {"number", QVK__FB_SCALAR4, 0, 0},
    {"leaf", QVK__FB_TABLE, T_LEAF, 0},
};
static const qvk__fb_field side_fields[] = {{"number", QVK__FB_SCALAR4, 0, 0}};
static const qvk__fb_table_schema tables[] = {
    {"Root", root_fields, QVK__COUNT(root_fields)},
    {"Leaf", leaf_fields, QVK__COUNT(leaf_fields)},
    {"Left", side_fields, QVK__COUNT(side_fields)},
    {"Right", side_fields, QVK__COUNT(side_fields)},
};
static const qvk__fb_schema schema = {"TEST", tables};

static qvk__fb_offset add_leaf(qvk__fb_writer *writer, int32_t number, qvk__fb_offset child)
{
    qvk__fb_begin(writer);
    qvk__fb_set_i32(writer, LEAF_NUMBER, number);
    qvk__fb_set_offset(writer, LEAF_LEAF, child);
    return qvk__fb_end(writer);
}

static const int32_t some_ints[] = {1, -2, 3};
static const int64_t some_longs[] = {INT64_MIN, 0, INT64_MAX, 7};
static const uint8_t some_bytes[] = {9, 8, 7, 6, 5};

/* A buffer with everything in it; the writer owns the bytes. */
static const uint8_t *write_everything(qvk__fb_writer *writer, size_t *bytes)
{
    qvk__fb_offset leaves[3], text, byte_vector, ints, longs, leaf, leaf_vector, side, root;
    const uint8_t *data = NULL;

    for (int i = 0; i < 3; i++)
        leaves[i] = add_leaf(writer, 10 + i, 0);
    text = qvk__fb_add_string(writer, "gr\xc3\xb6\xc3\x9f"
                                      "er \xe2\x82\xac \xf0\x9f\x99\x82");
    byte_vector = qvk__fb_add_vector(writer, some_bytes, QVK__COUNT(some_bytes), 1, 16);
    ints = qvk__fb_add_vector(writer, some_ints, QVK__COUNT(some_ints), 4, 4);
    longs = qvk__fb_add_vector(writer, some_longs, QVK__COUNT(some_longs), 8, 8);
    leaf = add_leaf(writer, 99, leaves[0]);
    leaf_vector = qvk__fb_add_offsets(writer, leaves, 3);
    qvk__fb_begin(writer);
    qvk__fb_set_i32(writer, 0, -5);
    side = qvk__fb_end(writer);
    qvk__fb_begin(writer);
    qvk__fb_set_u8(writer, F_BYTE, 200);
    qvk__fb_set_i32(writer, F_INT, -123456);
    qvk__fb_set_u64(writer, F_LONG, UINT64_MAX - 1);
    qvk__fb_set_f64(writer, F_DOUBLE, 0.1);
    qvk__fb_set_offset(writer, F_TEXT, text);
    qvk__fb_set_offset(writer, F_BYTES, byte_vector);
    qvk__fb_set_offset(writer, F_INTS, ints);
    qvk__fb_set_offset(writer, F_LONGS, longs);
    qvk__fb_set_offset(writer, F_LEAF, leaf);
    qvk__fb_set_offset(writer, F_LEAVES, leaf_vector);
    qvk__fb_set_u8(writer, F_CHOICE_TAG, 2);
    qvk__fb_set_offset(writer, F_CHOICE, side);
    root = qvk__fb_end(writer);
    assert_int_equal(qvk__fb_finish(writer, root, "TEST", &data, bytes, NULL), QVK_OK);
    return data;
}

static void everything_written_is_read_back(void **state)
{
    (void)state;
    qvk__fb_writer writer = {0};
    size_t bytes;
    const uint8_t *data = write_everything(&writer, &bytes);
    qvk__fb_table root;
    qvk__fb_vector vector;

    assert_int_equal(bytes % 16, 0); /* a multiple of the alignment asked for */
    assert_int_equal(qvk__fb_verify(data, bytes, &schema, 0, NULL), QVK_OK);
    root = qvk__fb_root(data);
    assert_int_equal(qvk__fb_u8(root, F_BYTE, 0), 200);
    assert_int_equal(qvk__fb_i8(root, F_BYTE, 0), -56);
    assert_int_equal(qvk__fb_i32(root, F_INT, 0), -123456);
    assert_true(qvk__fb_u64(root, F_LONG, 0) == UINT64_MAX - 1);
    assert_true(qvk__fb_f64(root, F_DOUBLE, 0) == 0.1);
    assert_string_equal(qvk__fb_string(root, F_TEXT), "gr\xc3\xb6\xc3\x9f"
                                                      "er \xe2\x82\xac \xf0\x9f\x99\x82");
    vector = qvk__fb_children(root, F_BYTES);
    assert_int_equal(vector.count, QVK__COUNT(some_bytes));
    assert_memory_equal(vector.at, some_bytes, sizeof some_bytes);
    assert_int_equal((vector.at - data) % 16, 0);
    vector = qvk__fb_children(root, F_INTS);
    assert_int_equal(vector.count, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(qvk__fb_i32_at(vector, i), some_ints[i]);
    vector = qvk__fb_children(root, F_LONGS);
    assert_int_equal((vector.at - data) % 8, 0);
    for (uint32_t i = 0; i < 4; i++)
        assert_true(qvk__fb_i64_at(vector, i) == some_longs[i]);
    assert_int_equal(qvk__fb_i32(qvk__fb_child(root, F_LEAF), LEAF_NUMBER, 0), 99);
    assert_int_equal(qvk__fb_i32(qvk__fb_child(qvk__fb_child(root, F_LEAF), LEAF_LEAF), LEAF_NUMBER, 0), 10);
    vector = qvk__fb_children(root, F_LEAVES);
    assert_int_equal(vector.count, 3);
    assert_int_equal(qvk__fb_i32(qvk__fb_child_at(vector, 2), LEAF_NUMBER, 0), 12);
    assert_int_equal(qvk__fb_i32(qvk__fb_child(root, F_CHOICE), 0, 0), -5);
    qvk__fb_writer_free(&writer);
}

static void absent_fields_read_as_their_fallback(void **state)
{
    (void)state;
    qvk__fb_writer writer = {0};
    const uint8_t *data;
    size_t bytes;
    qvk__fb_table root;

    qvk__fb_begin(&writer);
    qvk__fb_set_i32(&writer, F_INT, 3);
    assert_int_equal(qvk__fb_finish(&writer, qvk__fb_end(&writer), "TEST", &data, &bytes, NULL), QVK_OK);
    assert_int_equal(qvk__fb_verify(data, bytes, &schema, 0, NULL), QVK_OK);
    root = qvk__fb_root(data);
    assert_int_equal(qvk__fb_u8(root, F_BYTE, 7), 7);
    assert_int_equal(qvk__fb_i32(root, F_INT, 8), 3);
    assert_true(qvk__fb_f64(root, F_DOUBLE, 0.5) == 0.5);
    assert_null(qvk__fb_string(root, F_TEXT));
    assert_int_equal(qvk__fb_children(root, F_LEAVES).count, 0);
    assert_null(qvk__fb_child(root, F_LEAF).at);
    assert_int_equal(qvk__fb_i32(qvk__fb_child(root, F_LEAF), LEAF_NUMBER, -9), -9);
    qvk__fb_writer_free(&writer);
}

static void equal_vtables_are_shared(void **state)
{
    (void)state;
    qvk__fb_writer writer = {0};
    qvk__fb_offset first = add_leaf(&writer, 1, 0), second = add_leaf(&writer, 2, 0);
    qvk__fb_offset third = add_leaf(&writer, 3, 0);

    assert_int_equal(third - second, 8); /* its distance and its number, no second vtable */
    assert_int_equal(writer.vtables.count, 1);
    add_leaf(&writer, 4, first);
    assert_int_equal(writer.vtables.count, 2);
    qvk__fb_writer_free(&writer);
}

/* Verifies a copy with one 32-bit (or 16-, or 8-bit) number changed; wants a refusal that names the place. */
static void expect_refusal_of(const uint8_t *data, size_t bytes, size_t at, uint64_t value, size_t width,
                              const char *words)
{
    uint8_t *copy = malloc(bytes);
    qvk_error err;

    assert_non_null(copy);
    memcpy(copy, data, bytes);
    memcpy(copy + at, &value, width);
    if (qvk__fb_verify(copy, bytes, &schema, 1000, &err) != QVK_BAD_FORMAT)
        fail_msg("not refused: %s", words);
    if (!strstr(err.message, words))
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
    assert_true(err.place >= 1000 && err.place < 1000 + bytes);
    free(copy);
}

static size_t place_of(const uint8_t *data, const void *at)
{
    return (size_t)((const uint8_t *)at - data);
}

static void each_damage_is_refused(void **state)
{
    (void)state;
    qvk__fb_writer writer = {0};
    size_t bytes;
    const uint8_t *data = write_everything(&writer, &bytes);
    qvk__fb_table root = qvk__fb_root(data);
    int32_t back;
    size_t table = place_of(data, root.at), vtable, leaves, text, ints;
    uint16_t text_offset;

    memcpy(&back, root.at, sizeof back);
    vtable = table - (size_t)back;
    memcpy(&text_offset, data + vtable + 4 + 2 * F_TEXT, sizeof text_offset);
    text = place_of(data, qvk__fb_string(root, F_TEXT));
    leaves = place_of(data, qvk__fb_children(root, F_LEAVES).at);
    ints = place_of(data, qvk__fb_children(root, F_INTS).at);

    expect_refusal_of(data, bytes, 4, 'X', 1, "identifier");
    expect_refusal_of(data, bytes, 0, bytes, 4, "outside the buffer");           /* root */
    expect_refusal_of(data, bytes, 0, 0, 4, "outside the buffer");               /* root, at itself */
    expect_refusal_of(data, bytes, table, 0x7fffffff, 4, "vtable lies outside"); /* vtable before the start */
    expect_refusal_of(data, bytes, table, 0x80000001, 4, "vtable lies outside"); /* and far behind the end */
    expect_refusal_of(data, bytes, vtable, 3, 2, "impossible size");             /* odd */
    expect_refusal_of(data, bytes, vtable, 2, 2, "impossible size");             /* shorter than its header */
    expect_refusal_of(data, bytes, vtable, 0xfffe, 2, "impossible size");        /* longer than the buffer */
    expect_refusal_of(data, bytes, vtable + 2, 2, 2, "table runs past");         /* table shorter than 4 */
    expect_refusal_of(data, bytes, vtable + 2, 0xffff, 2, "table runs past");    /* longer than the buffer */
    expect_refusal_of(data, bytes, vtable + 2, 4, 2, "outside its table");       /* fields do not fit */
    expect_refusal_of(data, bytes, vtable + 4 + 2 * F_INT, 2, 2,
                      "outside its table");                                       /* field over the header */
    expect_refusal_of(data, bytes, table + text_offset, bytes, 4, "Root.text");   /* offset of a string */
    expect_refusal_of(data, bytes, text - 4, 0xffffffff, 4, "runs past the end"); /* its length */
    expect_refusal_of(data, bytes, text - 4, 3, 4, "no NUL");                     /* its end */
    expect_refusal_of(data, bytes, text + 1, 0, 1, "not UTF-8");                  /* a NUL inside */
    expect_refusal_of(data, bytes, text, 0xff, 1, "not UTF-8");
    expect_refusal_of(data, bytes, text + 2, 0xc0, 1, "not UTF-8");       /* overlong */
    expect_refusal_of(data, bytes, text + 3, 0x41, 1, "not UTF-8");       /* cut short */
    expect_refusal_of(data, bytes, ints - 4, 0x40000000, 4, "Root.ints"); /* length of a vector */
    expect_refusal_of(data, bytes, leaves - 4, 0x3fffffff, 4,
                      "runs past the end");                                      /* of a vector of tables */
    expect_refusal_of(data, bytes, leaves, 0xfffffff0, 4, "outside the buffer"); /* one of its offsets */
    qvk__fb_writer_free(&writer);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    qvk__fb_writer writer = {0};
    size_t bytes;
    const uint8_t *data = write_everything(&writer, &bytes);

    /* A malloc of the exact size, so that a sanitizer sees any byte read beyond. */
    for (size_t length = 0; length < bytes - 16; length++) {
        uint8_t *copy = malloc(length ? length : 1);
        assert_non_null(copy);
        memcpy(copy, data, length);
        qvk__fb_verify(copy, length, &schema, 0, NULL);
        free(copy);
    }
    assert_int_equal(qvk__fb_verify(data, 7, &schema, 0, NULL), QVK_BAD_FORMAT);
    assert_int_equal(qvk__fb_verify(data, bytes / 2, &schema, 0, NULL), QVK_BAD_FORMAT);
    qvk__fb_writer_free(&writer);
}

static void shared_children_are_bounded(void **state)
{
    (void)state;
    enum { WIDTH = 4000 };
    qvk__fb_writer writer = {0};
    qvk__fb_offset *many = calloc(WIDTH, sizeof *many);
    qvk__fb_offset leaves;
    const uint8_t *data;
    size_t bytes;
    qvk_error err;

    /* A chain of leaves 30 deep, and a vector that points to its start 4,000 times. */
    assert_non_null(many);
    many[0] = add_leaf(&writer, 0, 0);
    for (int i = 0; i < 28; i++)
        many[0] = add_leaf(&writer, i, many[0]);
    for (int i = 1; i < WIDTH; i++)
        many[i] = many[0];
    leaves = qvk__fb_add_offsets(&writer, many, WIDTH);
    qvk__fb_begin(&writer);
    qvk__fb_set_offset(&writer, F_LEAVES, leaves);
    assert_int_equal(qvk__fb_finish(&writer, qvk__fb_end(&writer), "TEST", &data, &bytes, NULL), QVK_OK);
    assert_int_equal(qvk__fb_verify(data, bytes, &schema, 0, &err), QVK_BAD_FORMAT);
    assert_non_null(strstr(err.message, "over and over"));
    qvk__fb_writer_free(&writer);
    free(many);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    qvk__fb_writer writer = {0};
    qvk__fb_offset leaf = add_leaf(&writer, 0, 0);
    const uint8_t *data;
    size_t bytes;
    qvk_error err;

    for (int i = 0; i < 100; i++)
        leaf = add_leaf(&writer, i, leaf);
    qvk__fb_begin(&writer);
    qvk__fb_set_offset(&writer, F_LEAF, leaf);
    assert_int_equal(qvk__fb_finish(&writer, qvk__fb_end(&writer), "TEST", &data, &bytes, NULL), QVK_OK);
    assert_int_equal(qvk__fb_verify(data, bytes, &schema, 0, &err), QVK_BAD_FORMAT);
    assert_non_null(strstr(err.message, "too deeply"));
    qvk__fb_writer_free(&writer);
}

static void unknown_union_members_are_left_alone(void **state)
{
    (void)state;
    qvk__fb_writer writer = {0};
    const uint8_t *data;
    size_t bytes;
    qvk__fb_offset side;

    qvk__fb_begin(&writer);
    side = qvk__fb_end(&writer);
    qvk__fb_begin(&writer);
    qvk__fb_set_u8(&writer, F_CHOICE_TAG, 77);
    qvk__fb_set_offset(&writer, F_CHOICE, side);
    assert_int_equal(qvk__fb_finish(&writer, qvk__fb_end(&writer), "TEST", &data, &bytes, NULL), QVK_OK);
    assert_int_equal(qvk__fb_verify(data, bytes, &schema, 0, NULL), QVK_OK);
    qvk__fb_writer_free(&writer);
}

static void random_damage_never_reads_outside(void **state)
{
    (void)state;
    enum { ROUNDS = 20000 };
    qvk__fb_writer writer = {0};
    size_t bytes;
    const uint8_t *data = write_everything(&writer, &bytes);
    uint8_t *copy = malloc(bytes);
    test_rng rng = test_rng_seed(4);
    int refused = 0;

    assert_non_null(copy);
    for (int round = 0; round < ROUNDS; round++) {
        memcpy(copy, data, bytes);
        for (int64_t flips = test_rng_range(&rng, 1, 4); flips > 0; flips--)
            copy[test_rng_range(&rng, 0, (int64_t)bytes - 1)] = (uint8_t)test_rng_next(&rng);
        refused += qvk__fb_verify(copy, bytes, &schema, 0, NULL) != QVK_OK;
    }
    assert_in_range(refused, ROUNDS / 10, ROUNDS);
    free(copy);
    qvk__fb_writer_free(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_written_is_read_back),
        cmocka_unit_test(absent_fields_read_as_their_fallback),
        cmocka_unit_test(equal_vtables_are_shared),
        cmocka_unit_test(each_damage_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(shared_children_are_bounded),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(unknown_union_members_are_left_alone),
        cmocka_unit_test(random_damage_never_reads_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
