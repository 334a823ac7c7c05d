/* The .pte container: extended header, segments, named data, methods. */
#include "program/pte_reader.h"

/* Byte places of the head; the extended header may be absent, then there are no segments. */
enum {
    IDENTIFIER_AT = 4,
    HEADER_AT = 8,
    HEADER_LENGTH_AT = 12,
    PROGRAM_BYTES_AT = 16,
    SEGMENT_BASE_AT = 24,
    SEGMENT_BYTES_AT = 32,
    HEAD_BYTES = 40,
    HEADER_MIN_LENGTH = 24,
    HEADER_FULL_LENGTH = 32
};

typedef struct file_layout {
    uint64_t program_bytes, segment_base, segment_end; /* base 0: no segments */
} file_layout;

static qvk_status read_identifier(const qvk__pte_reader *reader, qvk_error *err)
{
    const uint8_t *data = reader->data;

    if (reader->bytes < HEADER_AT || data[IDENTIFIER_AT] != 'E' || data[IDENTIFIER_AT + 1] != 'T')
        return qvk__fail_at(err, QVK_BAD_FORMAT, IDENTIFIER_AT, "not a .pte program (no \"ET12\" at byte 4)");
    if (memcmp(data + IDENTIFIER_AT, qvk__pte_schema.identifier, 4) != 0)
        return qvk__fail_at(err, QVK_BAD_VERSION, IDENTIFIER_AT, "program format \"%.4s\"; this reads \"%s\"",
                            (const char *)data + IDENTIFIER_AT, qvk__pte_schema.identifier);
    return QVK_OK;
}

static qvk_status read_layout(const qvk__pte_reader *reader, file_layout *out, qvk_error *err)
{
    uint64_t segment_bytes = 0;
    uint32_t length;

    *out = (file_layout){reader->bytes, 0, 0};
    if (reader->bytes < HEAD_BYTES || memcmp(reader->data + HEADER_AT, "eh00", 4) != 0)
        return QVK_OK;
    length = qvk__load_u32(reader->data + HEADER_LENGTH_AT);
    if (length < HEADER_MIN_LENGTH)
        return qvk__fail_at(err, QVK_BAD_FORMAT, HEADER_LENGTH_AT, "extended header of %u bytes", length);
    out->program_bytes = qvk__load_u64(reader->data + PROGRAM_BYTES_AT);
    out->segment_base = qvk__load_u64(reader->data + SEGMENT_BASE_AT);
    if (length >= HEADER_FULL_LENGTH)
        segment_bytes = qvk__load_u64(reader->data + SEGMENT_BYTES_AT);
    if (out->program_bytes > reader->bytes)
        return qvk__fail_at(err, QVK_BAD_FORMAT, PROGRAM_BYTES_AT,
                            "file ends after %llu bytes, its program alone has %llu: truncated?",
                            (unsigned long long)reader->bytes, (unsigned long long)out->program_bytes);
    out->segment_end = reader->bytes;
    if (segment_bytes && !qvk__add_u64(out->segment_base, segment_bytes, &out->segment_end))
        out->segment_end = UINT64_MAX;
    if (out->segment_base > reader->bytes || out->segment_end > reader->bytes)
        return qvk__fail_at(err, QVK_BAD_FORMAT, SEGMENT_BASE_AT,
                            "file ends after %llu bytes, its segments reach to %llu: truncated?",
                            (unsigned long long)reader->bytes, (unsigned long long)out->segment_end);
    return QVK_OK;
}

/* Segments are bounded here, once; what refers to one bounds itself inside it. A file without the extended
 * header has room for empty ones only. */
static qvk_status read_segments(qvk__pte_reader *reader, const file_layout *layout, qvk_error *err)
{
    qvk__fb_vector segments = qvk__fb_children(reader->root, PTE_PROGRAM_SEGMENTS);
    uint64_t room = layout->segment_end - layout->segment_base;

    reader->segments = qvk__arena_alloc(&reader->program->arena, segments.count, sizeof *reader->segments);
    QVK__CHECK(reader->segments, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < segments.count; i++) {
        qvk__fb_table segment = qvk__fb_child_at(segments, i);
        uint64_t offset = qvk__fb_u64(segment, PTE_SEGMENT_OFFSET, 0);
        uint64_t bytes = qvk__fb_u64(segment, PTE_SEGMENT_SIZE, 0);
        if (offset > room || bytes > room - offset)
            return qvk__fail_at(err, QVK_BAD_FORMAT, (uint64_t)(segment.at - reader->data),
                                "segment %u (%llu bytes at %llu) runs past the end of the file: truncated?",
                                i, (unsigned long long)bytes, (unsigned long long)offset);
        reader->segments[i] = (qvk__span){reader->data + layout->segment_base + offset, bytes};
    }
    reader->n_segments = segments.count;
    return QVK_OK;
}

qvk_status qvk__pte_segment(const qvk__pte_reader *reader, uint32_t index, qvk__span *out, qvk_error *err)
{
    QVK__CHECK(index < reader->n_segments, err, QVK_BAD_FORMAT, "segment %u of %u", index,
               reader->n_segments);
    *out = reader->segments[index];
    return QVK_OK;
}

static qvk_status read_named_data(qvk__pte_reader *reader, qvk_error *err)
{
    qvk__fb_vector entries = qvk__fb_children(reader->root, PTE_PROGRAM_NAMED_DATA);

    for (uint32_t i = 0; i < entries.count; i++) {
        qvk__fb_table entry = qvk__fb_child_at(entries, i);
        qvk__named_data named = {.key = qvk__fb_string(entry, PTE_NAMED_DATA_KEY)};
        qvk__span span;
        QVK__CHECK(named.key, err, QVK_BAD_FORMAT, "named data %u has no key", i);
        QVK__TRY(qvk__pte_segment(reader, qvk__fb_u32(entry, PTE_NAMED_DATA_SEGMENT, 0), &span, err));
        named.data = span.data;
        named.bytes = span.bytes;
        QVK__CHECK(QVK__VEC_PUSH(&reader->program->named, named), err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    return qvk__program_sort_named(reader->program, err);
}

qvk_status qvk__pte_read_ids(qvk__pte_reader *reader, qvk__fb_table table, int field, const int32_t **out,
                             uint32_t *count, qvk_error *err)
{
    qvk__fb_vector vector = qvk__fb_children(table, field);

    *out = qvk__arena_memdup(&reader->program->arena, vector.at, (size_t)vector.count * sizeof **out);
    QVK__CHECK(*out, err, QVK_OUT_OF_MEMORY, "out of memory");
    *count = vector.count;
    return QVK_OK;
}

static qvk_status read_method(qvk__pte_reader *reader, qvk__fb_table plan, qvk__method *out, qvk_error *err)
{
    qvk__fb_table container = qvk__fb_child(plan, PTE_PLAN_CONTAINER);
    qvk__fb_vector buffers = qvk__fb_children(plan, PTE_PLAN_BUFFER_BYTES);

    out->input_spec = qvk__fb_string(container, PTE_CONTAINER_INPUTS);
    out->output_spec = qvk__fb_string(container, PTE_CONTAINER_OUTPUTS);
    out->buffer_bytes = qvk__arena_memdup(&reader->program->arena, buffers.at,
                                          (size_t)buffers.count * sizeof *out->buffer_bytes);
    QVK__CHECK(out->buffer_bytes, err, QVK_OUT_OF_MEMORY, "out of memory");
    out->n_buffers = buffers.count;
    QVK__TRY(qvk__pte_read_ids(reader, plan, PTE_PLAN_INPUTS, &out->inputs, &out->n_inputs, err));
    QVK__TRY(qvk__pte_read_ids(reader, plan, PTE_PLAN_OUTPUTS, &out->outputs, &out->n_outputs, err));
    QVK__TRY(qvk__pte_read_values(reader, plan, out, err));
    return qvk__pte_read_plan(reader, plan, out, err);
}

static qvk_status read_methods(qvk__pte_reader *reader, qvk_error *err)
{
    qvk__fb_vector plans = qvk__fb_children(reader->root, PTE_PROGRAM_PLANS);
    qvk__program *program = reader->program;

    QVK__CHECK(plans.count > 0, err, QVK_BAD_FORMAT, "program without methods");
    program->methods = qvk__arena_alloc(&program->arena, plans.count, sizeof *program->methods);
    QVK__CHECK(program->methods, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < plans.count; i++) {
        qvk__fb_table plan = qvk__fb_child_at(plans, i);
        qvk__method *method = &program->methods[i];
        qvk_status status;

        method->name = qvk__fb_string(plan, PTE_PLAN_NAME);
        QVK__CHECK(method->name, err, QVK_BAD_FORMAT, "method %u has no name", i);
        program->n_methods = i + 1; /* counted before it is filled: what it holds is freed with the program */
        status = read_method(reader, plan, method, err);
        if (status != QVK_OK)
            return qvk__error_context(err, status, "method %s", method->name);
    }
    return QVK_OK;
}

static qvk_status read_data_files(qvk__program *program, const char *const *paths, qvk_error *err)
{
    for (size_t i = 0; i < program->extras.count; i++) {
        const qvk__file *file = &program->extras.data[i];
        qvk_status status = qvk__ptd_read(file->data, file->bytes, program, err);
        if (status != QVK_OK)
            return qvk__error_context(err, status, "%s", paths[i]);
    }
    return QVK_OK;
}

/* Everything but cleaning up. `data_paths` names program->extras. */
static qvk_status read_program(const uint8_t *data, uint64_t bytes, const char *const *data_paths,
                               qvk__program *program, qvk_error *err)
{
    qvk__pte_reader reader = {.data = data, .bytes = bytes, .program = program};
    file_layout layout = {0};

    QVK__TRY(read_identifier(&reader, err));
    QVK__TRY(read_layout(&reader, &layout, err));
    QVK__TRY(qvk__fb_verify(data, layout.program_bytes, &qvk__pte_schema, 0, err));
    reader.root = qvk__fb_root(data);
    program->version = qvk__fb_u32(reader.root, PTE_PROGRAM_VERSION, 0);
    QVK__CHECK(program->version == 0, err, QVK_BAD_VERSION, "program version %u; this reads version 0",
               program->version);
    QVK__TRY(read_segments(&reader, &layout, err));
    QVK__TRY(read_named_data(&reader, err));
    QVK__TRY(read_data_files(program, data_paths, err));
    QVK__TRY(read_methods(&reader, err));
    return qvk__program_verify(program, err);
}

qvk_status qvk__program_read_bytes(const uint8_t *data, uint64_t bytes, const char *name, qvk__program *out,
                                   qvk_error *err)
{
    qvk_status status = QVK_OK;
    qvk__program program = {0};

    /* Constants are used where they lie, and files keep them aligned relative to their start. */
    if ((uintptr_t)data % 16 != 0) {
        data = qvk__arena_memdup(&program.arena, data, (size_t)bytes);
        QVK__CHECK_GO(data, err, QVK_OUT_OF_MEMORY, "%s: out of memory", name);
    }
    status = read_program(data, bytes, NULL, &program, err);
    if (status != QVK_OK) {
        qvk__error_context(err, status, "%s", name);
        goto done;
    }
    *out = program;
    return QVK_OK;
done:
    qvk__program_finish(&program);
    return status;
}

qvk_status qvk__program_read(const char *path, const char *const *data_paths, int n_data_paths,
                             qvk__program *out, qvk_error *err)
{
    qvk_status status = QVK_OK;
    qvk__program program = {0};

    for (int i = 0; i < n_data_paths; i++) {
        qvk__file file;
        QVK__TRY_GO(qvk__file_map(data_paths[i], &file, err));
        if (!QVK__VEC_PUSH(&program.extras, file)) {
            qvk__file_unmap(&file);
            QVK__TRY_GO(qvk__fail(err, QVK_OUT_OF_MEMORY, "%s: out of memory", path));
        }
    }
    QVK__TRY_GO(qvk__file_map(path, &program.file, err));
    status = read_program(program.file.data, program.file.bytes, data_paths, &program, err);
    if (status != QVK_OK) {
        qvk__error_context(err, status, "%s", path);
        goto done;
    }
    *out = program;
    return QVK_OK;
done:
    qvk__program_finish(&program);
    return status;
}
