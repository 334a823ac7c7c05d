/* Archives of numpy.savez: a zip of .npy files. */
#include "pt2/zip_read.h"
#include "qvk/npy.h"

typedef struct archive {
    qvk__file file;
    qvk__arena arena;
    qvk__zip zip;
} archive;

static void finish(archive *a)
{
    qvk__zip_close(&a->zip);
    qvk__arena_free(&a->arena);
    qvk__file_unmap(&a->file);
}

static qvk_status start(const char *path, archive *out, qvk_error *err)
{
    qvk_status status;

    memset(out, 0, sizeof *out);
    QVK__TRY(qvk__file_map(path, &out->file, err));
    status = qvk__zip_open(out->file.data, out->file.bytes, path, &out->arena, &out->zip, err);
    if (status != QVK_OK) {
        qvk__arena_free(&out->arena);
        qvk__file_unmap(&out->file);
    }
    return status;
}

qvk_status qvk_npz_list(const char *path, bool (*visit)(const char *name, void *user), void *user,
                        qvk_error *err)
{
    qvk_status status = QVK_OK;
    archive a;

    QVK__CHECK(path && visit, err, QVK_INVALID_ARGUMENT, "path and visit must not be NULL");
    QVK__TRY(start(path, &a, err));
    for (size_t i = 0; i < a.zip.entries.count; i++)
        QVK__CHECK_GO(visit(a.zip.entries.data[i].name, user), err, QVK_OUT_OF_MEMORY, "out of memory");
done:
    finish(&a);
    return status;
}

qvk_status qvk_npz_load(const char *path, const char *name, qvk_tensor *out, qvk_error *err)
{
    qvk_status status = QVK_OK;
    const char *full;
    const uint8_t *data;
    uint64_t bytes;
    archive a;

    QVK__CHECK(path && name && out, err, QVK_INVALID_ARGUMENT, "path, name and out must not be NULL");
    QVK__TRY(start(path, &a, err));
    full = qvk__ends_with(name, ".npy") ? name : qvk__arena_printf(&a.arena, "%s.npy", name);
    QVK__CHECK_GO(full, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__CHECK_GO(qvk__zip_find(&a.zip, full), err, QVK_NOT_FOUND, "%s: no entry %s", path, full);
    QVK__TRY_GO(qvk__zip_get(&a.zip, full, &data, &bytes, err));
    QVK__TRY_GO(qvk_npy_parse(data, (size_t)bytes, full, out, err));
done:
    finish(&a);
    return status;
}
