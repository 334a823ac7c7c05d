#include "pt2/pt2_kit.h"

#include <stdio.h>
#include <zlib.h>

#include "core/dtype.h"
#include "pt2/pt2.h"
#include "pt2/zip_write.h"
#include "support/support.h"

/* ---- facts --------------------------------------------------------------------------------------------- */

static uint32_t checksum(const void *data, size_t bytes)
{
    return (uint32_t)crc32(0, data, (uInt)bytes);
}

static void add_sizes(const qvk__exported *program, const qvk__value *value, qvk__string *out)
{
    qvk__string_add(out, "[");
    for (int i = 0; i < value->desc.rank; i++) {
        qvk__string_add(out, i ? ", " : "");
        if (value->syms[i] >= 0)
            qvk__expression_print(program, value->syms[i], out);
        else
            qvk__string_addf(out, "%lld", (long long)value->desc.sizes[i]);
    }
    qvk__string_add(out, "]");
}

static void add_bound(int64_t bound, qvk__string *out)
{
    if (bound == INT64_MIN || bound == INT64_MAX)
        qvk__string_add(out, " -");
    else
        qvk__string_addf(out, " %lld", (long long)bound);
}

static void add_literal(const qvk__arg *arg, qvk__string *out)
{
    if (arg->kind == QVK__ARG_INT)
        qvk__string_addf(out, "literal %lld\n", (long long)arg->u.i);
    else
        qvk__string_add(out, arg->kind == QVK__ARG_NULL ? "literal None\n" : "literal ?\n");
}

static void add_signature(const qvk__exported *program, qvk__string *out)
{
    for (size_t i = 0; i < program->graph.inputs.count; i++) {
        const qvk__value *value = &program->graph.values.data[program->graph.inputs.data[i]];
        qvk__string_addf(out, "input %s %s ", value->name, qvk_dtype_name(value->desc.dtype));
        add_sizes(program, value, out);
        qvk__string_add(out, "\n");
    }
    for (size_t i = 0; i < program->outputs.count; i++) {
        const qvk__output_spec *spec = &program->outputs.data[i];
        int32_t id = qvk__exported_output_value(program, i);
        if (id < 0)
            add_literal(&spec->literal, out);
        else if (spec->kind == QVK__OUTPUT_USER)
            qvk__string_addf(out, "output %s\n", program->graph.values.data[id].name);
        else
            qvk__string_addf(out, "writes %s %s\n", spec->target, program->graph.values.data[id].name);
    }
    for (size_t i = 0; i < program->ranges.count; i++) {
        qvk__string_addf(out, "range %s", program->ranges.data[i].symbol);
        add_bound(program->ranges.data[i].min, out);
        add_bound(program->ranges.data[i].max, out);
        qvk__string_add(out, "\n");
    }
}

static const qvk__constant *constant_of(const qvk__exported *program, size_t input)
{
    const qvk__input_spec *spec = &program->inputs.data[input];
    return spec->kind == QVK__INPUT_LITERAL ? NULL : program->graph.values.data[spec->value].constant;
}

static void add_weights(const qvk__exported *program, qvk__string *out)
{
    for (size_t i = 0; i < program->inputs.count; i++) {
        const qvk__constant *constant = constant_of(program, i);
        const void *bytes;
        if (!constant)
            continue;
        assert_int_equal(qvk__constant_bytes(constant, &bytes, NULL), QVK_OK);
        const qvk__value *value = &program->graph.values.data[program->inputs.data[i].value];
        qvk__string_addf(out, "weight %s %s ", program->inputs.data[i].target,
                         qvk_dtype_name(value->desc.dtype));
        add_sizes(program, value, out);
        qvk__string_addf(out, " %08x\n", (unsigned)checksum(bytes, (size_t)constant->bytes));
        qvk__constant_release(constant, bytes);
    }
    for (size_t i = 0; i < program->inputs.count; i++)
        for (size_t j = 0; j < i; j++)
            if (constant_of(program, i) && constant_of(program, i) == constant_of(program, j))
                qvk__string_addf(out, "tied %s %s\n", program->inputs.data[j].target,
                                 program->inputs.data[i].target);
}

char *pt2_facts(const qvk__exported *program)
{
    static const char prefix[] = "torch.ops.";
    qvk__string out = {0};

    add_signature(program, &out);
    add_weights(program, &out);
    for (size_t n = 0; n < program->graph.nodes.count; n++) {
        const qvk__node *node = &program->graph.nodes.data[n];
        bool foreign = qvk__starts_with(node->target, prefix);
        qvk__string_addf(&out, "node %s %d\n", node->target + (foreign ? sizeof prefix - 1 : 0),
                         (int)node->n_outs);
    }
    for (size_t i = 0; i < program->samples.count; i++) {
        const qvk_tensor *sample = &program->samples.data[i];
        qvk__string_addf(&out, "sample %s %s %08x\n", qvk_dtype_name(sample->dtype),
                         qvk__shape_text(sample).text,
                         (unsigned)checksum(sample->data, qvk_tensor_bytes(sample)));
    }
    assert_false(out.failed);
    return out.data;
}

/* ---- golden files -------------------------------------------------------------------------------------- */

static char *golden_path(const char *name)
{
    char *folder = test_golden_path("pt2"), *path = test_path(folder, name);
    free(folder);
    return path;
}

qvk__exported pt2_golden(const char *name)
{
    char *path = golden_path(name);
    qvk__exported program;
    qvk_error err = {.message = ""};
    qvk_status status = qvk__pt2_read(path, &program, &err);

    assert_string_equal(err.message, "");
    assert_int_equal(status, QVK_OK);
    free(path);
    return program;
}

/* The entry's new bytes; NULL: left out. */
static char *edit(const uint8_t *data, uint64_t bytes, const char *from, const char *to, size_t *count)
{
    qvk__string out = {0};
    size_t changes = 0, at = 0;

    if (!from) {
        *count = to ? strlen(to) : 0;
        return to ? strdup(to) : NULL;
    }
    while (at < bytes) {
        if (bytes - at >= strlen(from) && memcmp(data + at, from, strlen(from)) == 0) {
            qvk__string_add(&out, to);
            at += strlen(from);
            changes++;
        } else {
            qvk__string_addf(&out, "%c", data[at++]);
        }
    }
    if (changes == 0)
        fail_msg("the entry does not contain %s", from);
    *count = out.count;
    return out.data;
}

void pt2_edited(const char *name, const char *entry, const char *from, const char *to, uint8_t **data,
                uint64_t *bytes)
{
    char *path = golden_path(name);
    size_t n_file;
    uint8_t *file = test_read_file(path, &n_file);
    qvk__arena arena = {0};
    qvk__string memory = {0};
    qvk__zip_writer writer;
    bool found = false;
    qvk__zip zip;

    assert_int_equal(qvk__zip_open(file, n_file, path, &arena, &zip, NULL), QVK_OK);
    qvk__zip_writer_init(&writer, NULL, &memory, zip.root);
    for (size_t i = 0; i < zip.entries.count; i++) {
        const qvk__zip_entry *each = &zip.entries.data[i];
        const char *short_name = each->name + strlen(zip.root);
        const uint8_t *content = each->data;
        size_t count = (size_t)each->bytes;
        char *made = NULL;
        if (strcmp(short_name, entry) == 0) {
            found = true;
            made = edit(each->data, each->bytes, from, to, &count);
            content = (const uint8_t *)made;
        }
        if (content)
            assert_int_equal(qvk__zip_entry_write(&writer, short_name, content, count, NULL), QVK_OK);
        free(made);
    }
    if (!found && !from && to)
        assert_int_equal(qvk__zip_entry_write(&writer, entry, to, strlen(to), NULL), QVK_OK);
    else
        assert_true(found);
    assert_int_equal(qvk__zip_write_directory(&writer, NULL), QVK_OK);
    qvk__zip_writer_finish(&writer);
    qvk__zip_close(&zip);
    qvk__arena_free(&arena);
    free(file);
    free(path);
    *data = (uint8_t *)memory.data;
    *bytes = memory.count;
}

void pt2_expect_failure(const char *name, const char *entry, const char *from, const char *to,
                        qvk_status status, const char *words)
{
    qvk__exported program;
    qvk_error err;
    uint8_t *data;
    uint64_t bytes;

    pt2_edited(name, entry, from, to, &data, &bytes);
    qvk_status got = qvk__pt2_read_bytes(data, bytes, "edited.pt2", &program, &err);
    if (got == QVK_OK)
        fail_msg("%s with %s read, although %s", name, to ? to : "an entry less", words);
    if (got != status || !strstr(err.message, words) || !qvk__starts_with(err.message, "edited.pt2"))
        fail_msg("%s with %s: %s: %s; expected %s", name, to ? to : "an entry less", qvk_status_name(got),
                 err.message, words);
    /* A caller who wants no message gets the same. */
    assert_int_equal(qvk__pt2_read_bytes(data, bytes, "edited.pt2", &program, NULL), status);
    free(data);
}
