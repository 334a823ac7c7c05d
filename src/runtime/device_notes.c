#include "runtime/device_notes.h"

enum { FILE_MAX_BYTES = 1 << 20, MAX_PATH = 1024 };

typedef struct file_header {
    char magic[8];
    uint64_t bytes, checksum; /* of the entries that follow */
} file_header;

static bool is_ours(const qvk__notes_kind *kind, const qvk__file *file)
{
    file_header header;

    if (file->bytes < sizeof header || file->bytes > FILE_MAX_BYTES)
        return false;
    memcpy(&header, file->data, sizeof header);
    return memcmp(header.magic, kind->magic, sizeof header.magic) == 0 &&
           header.bytes == file->bytes - sizeof header && header.bytes % kind->entry_bytes == 0 &&
           header.checksum == qvk__hash64(file->data + sizeof header, (size_t)header.bytes, 0);
}

void qvk__notes_read(const qvk__notes_kind *kind, const char *cache_dir, const qvk__gpu_caps *caps,
                     qvk__notes_fn take, void *user)
{
    qvk__file file = {0};
    char path[MAX_PATH];

    if (qvk__gpu_cache_path_in(cache_dir, caps, kind->name, path, sizeof path, NULL) != QVK_OK || !*path ||
        qvk__file_map(path, &file, NULL) != QVK_OK)
        return;
    if (is_ours(kind, &file))
        for (uint64_t at = sizeof(file_header); at < file.bytes; at += kind->entry_bytes)
            take(file.data + at, user);
    qvk__file_unmap(&file);
}

static qvk_status write(const file_header *header, const char *path, const void *entries, qvk_error *err)
{
    qvk__writer writer;
    qvk_status status;

    QVK__TRY(qvk__folders_make(path, err));
    QVK__TRY(qvk__writer_open(path, &writer, err));
    QVK__TRY_GO(qvk__writer_add(&writer, header, sizeof *header, err));
    QVK__TRY_GO(qvk__writer_add(&writer, entries, header->bytes, err));
    QVK__TRY_GO(qvk__writer_commit(&writer, err));
done:
    qvk__writer_abandon(&writer);
    return status;
}

qvk_status qvk__notes_write(const qvk__notes_kind *kind, const qvk__gpu *gpu, const void *entries, size_t n,
                            qvk_error *err)
{
    const uint64_t bytes = n * kind->entry_bytes;
    file_header header = {.bytes = bytes, .checksum = qvk__hash64(entries, (size_t)bytes, 0)};
    char path[MAX_PATH];

    memcpy(header.magic, kind->magic, sizeof header.magic);
    QVK__TRY(qvk__gpu_cache_path(gpu, kind->name, path, sizeof path, err));
    return *path ? write(&header, path, entries, err) : QVK_OK;
}
