/* Writing a .pte: head, then segments, then, where keys were not known before, the head once more. */
#include "program/pte_writer.h"

/* The extended header stands between bytes 8 and 40 of the file; its length keeps what follows 16-aligned. */
enum { FIRST_BYTES = 8, HEADER_BYTES = 32 };

/* ---- head ---------------------------------------------------------------------------------------------- */

typedef struct file_head {
    uint8_t *data; /* up to the first segment, padding included */
    uint64_t bytes;
} file_head;

static uint64_t segments_bytes(const qvk__pte_writer *writer)
{
    const qvk__pte_region *last = &writer->segments.data[writer->segments.count - 1];
    return last->offset + last->bytes;
}

static void write_header(uint8_t *to, uint64_t program_bytes, uint64_t base, uint64_t data_bytes)
{
    const uint32_t length = HEADER_BYTES;

    memcpy(to, "eh00", 4);
    memcpy(to + 4, &length, sizeof length);
    memcpy(to + 8, &program_bytes, sizeof program_bytes);
    memcpy(to + 16, &base, sizeof base);
    memcpy(to + 24, &data_bytes, sizeof data_bytes);
}

/* `at_least`: bytes the head had before; dropping duplicates can only make it shorter, and the segments stay.
 */
static qvk_status make_head(const qvk__pte_writer *writer, uint64_t at_least, file_head *out, qvk_error *err)
{
    qvk__fb_writer fb = {0};
    const uint8_t *flatbuffer = NULL;
    qvk_status status = QVK_OK;
    size_t bytes = 0;
    uint64_t base;
    uint32_t root;

    QVK__TRY_GO(qvk__pte_describe(writer, &fb, &flatbuffer, &bytes, err));
    base = QVK__MAX(qvk__round_up(bytes + HEADER_BYTES, PTE_SEGMENT_ALIGNMENT), at_least);
    out->data = qvk__alloc_zeroed(base, 1);
    QVK__CHECK_GO(out->data, err, QVK_OUT_OF_MEMORY, "out of memory");
    out->bytes = base;
    memcpy(&root, flatbuffer, sizeof root);
    root += HEADER_BYTES;
    memcpy(out->data, &root, sizeof root);
    memcpy(out->data + 4, flatbuffer + 4, 4);
    write_header(out->data + FIRST_BYTES, bytes + HEADER_BYTES, base, segments_bytes(writer));
    memcpy(out->data + FIRST_BYTES + HEADER_BYTES, flatbuffer + FIRST_BYTES, bytes - FIRST_BYTES);
done:
    qvk__fb_writer_free(&fb);
    return status;
}

/* ---- segments ------------------------------------------------------------------------------------------ */

static qvk_status write_pieces(const qvk__pte_pieces *pieces, uint64_t alignment, qvk__writer *file,
                               qvk_error *err)
{
    for (size_t i = 0; i < pieces->count; i++) {
        const qvk__evalue *value = pieces->data[i].value;
        void *reordered = NULL;
        qvk_status status = QVK_OK;

        QVK__TRY(qvk__writer_pad(file, alignment, err));
        if (!qvk__dim_order_is_identity(&value->desc, value->dim_order)) {
            reordered = qvk__alloc_zeroed(value->constant_bytes, 1);
            QVK__CHECK(reordered, err, QVK_OUT_OF_MEMORY, "out of memory");
            status = qvk__reorder_to_file(&value->desc, value->dim_order, value->constant, reordered, err);
        }
        if (status == QVK_OK)
            status =
                qvk__writer_add(file, reordered ? reordered : value->constant, value->constant_bytes, err);
        free(reordered);
        QVK__TRY(status);
    }
    return QVK_OK;
}

static qvk_status write_blobs(const qvk__pte_writer *writer, qvk__writer *file, qvk_error *err)
{
    for (size_t i = 0; i < writer->blobs.count; i++) {
        const qvk__pte_blob *blob = &writer->blobs.data[i];
        if (blob->bytes == 0)
            continue;
        QVK__TRY(qvk__writer_pad(file, PTE_SEGMENT_ALIGNMENT, err));
        QVK__TRY(qvk__writer_add(file, blob->data, blob->bytes, err));
    }
    return QVK_OK;
}

/* Makes, hashes and writes one constant; its bytes are gone afterwards. */
static qvk_status write_constant(qvk__pte_writer *writer, qvk__pte_named *entry, qvk__writer *file,
                                 qvk_error *err)
{
    const void *bytes = NULL;
    qvk_status status = QVK_OK;
    qvk__sha256 sha;
    char hex[65];

    QVK__TRY(qvk__constant_bytes(entry->constant, &bytes, err));
    if (!entry->is_hashed) {
        qvk__sha256_begin(&sha);
        qvk__sha256_add(&sha, bytes, (size_t)entry->constant->bytes);
        qvk__sha256_end(&sha, hex);
        entry->key = qvk__arena_strdup(&writer->arena, hex);
        entry->is_hashed = true;
        QVK__CHECK_GO(entry->key, err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    QVK__TRY_GO(qvk__writer_add(file, bytes, entry->constant->bytes, err));
done:
    qvk__constant_release(entry->constant, bytes);
    return status;
}

static qvk_status write_named(qvk__pte_writer *writer, qvk__writer *file, bool *keys_changed, qvk_error *err)
{
    for (size_t i = 0; i < writer->named.count; i++) {
        qvk__pte_named *entry = &writer->named.data[i];
        if (entry->is_duplicate)
            continue;
        *keys_changed |= !entry->is_hashed;
        QVK__TRY(qvk__writer_pad(file, PTE_SEGMENT_ALIGNMENT, err));
        if (entry->constant)
            QVK__TRY(write_constant(writer, entry, file, err));
        else
            QVK__TRY(qvk__writer_add(file, entry->carried->data, entry->carried->bytes, err));
    }
    return QVK_OK;
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

/* Head and blobs again, with the keys found while writing. */
static qvk_status patch_keys(qvk__pte_writer *writer, uint64_t base, qvk__writer *file, qvk_error *err)
{
    file_head head = {0};
    qvk_status status = QVK_OK;

    QVK__TRY_GO(qvk__pte_drop_duplicates(writer, err));
    QVK__TRY_GO(qvk__pte_make_blobs(writer, err));
    QVK__TRY_GO(make_head(writer, base, &head, err));
    QVK__CHECK_GO(head.bytes == base, err, QVK_INTERNAL, "the program's description changed its size");
    QVK__TRY_GO(qvk__writer_patch(file, 0, head.data, head.bytes, err));
    for (size_t i = 0; i < writer->blobs.count; i++) {
        const qvk__pte_blob *blob = &writer->blobs.data[i];
        if (blob->made)
            QVK__TRY_GO(qvk__writer_patch(file, base + writer->segments.data[blob->segment].offset,
                                          blob->data, blob->bytes, err));
    }
done:
    free(head.data);
    return status;
}

static qvk_status write_file(qvk__pte_writer *writer, qvk__writer *file, qvk_error *err)
{
    file_head head = {0};
    qvk_status status = QVK_OK;
    bool keys_changed = false;

    QVK__TRY(qvk__pte_collect(writer, err));
    QVK__TRY(make_head(writer, 0, &head, err));
    QVK__TRY_GO(qvk__writer_add(file, head.data, head.bytes, err));
    QVK__TRY_GO(write_pieces(&writer->constants, PTE_CONSTANT_ALIGNMENT, file, err));
    if (writer->mutables.count > 0)
        QVK__TRY_GO(qvk__writer_pad(file, PTE_SEGMENT_ALIGNMENT, err));
    QVK__TRY_GO(write_pieces(&writer->mutables, 1, file, err));
    QVK__TRY_GO(write_blobs(writer, file, err));
    QVK__TRY_GO(write_named(writer, file, &keys_changed, err));
    if (keys_changed)
        QVK__TRY_GO(patch_keys(writer, head.bytes, file, err));
done:
    free(head.data);
    return status;
}

qvk_status qvk__program_write(const qvk__program *program, const char *path, qvk_error *err)
{
    qvk__pointer_map index = {0};
    qvk__pte_writer writer = {.program = program, .named_index = &index};
    qvk__writer file = {.descriptor = -1};
    qvk_status status = QVK_OK;

    QVK__TRY_GO(qvk__program_verify(program, err));
    QVK__TRY_GO(qvk__writer_open(path, &file, err));
    QVK__TRY_GO(write_file(&writer, &file, err));
    QVK__TRY_GO(qvk__writer_commit(&file, err));
done:
    qvk__writer_abandon(&file);
    for (size_t i = 0; i < writer.blobs.count; i++)
        free(writer.blobs.data[i].made);
    free(writer.blobs.data);
    free(writer.constants.data);
    free(writer.mutables.data);
    free(writer.named.data);
    free(writer.segments.data);
    qvk__pointer_map_free(&index);
    qvk__arena_free(&writer.arena);
    return status;
}
