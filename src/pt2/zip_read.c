/*
 * Zip archives in memory, through minizip: it walks the central directory and tells where each entry's data
 * starts, so that stored entries (all that torch writes) are used in place.
 */
#include "pt2/zip_read.h"

#include <unzip.h>

enum {
    MAX_NAME_BYTES = 4096,
    FLAG_ENCRYPTED = 1,
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8,
    MAX_DEFLATE_RATIO = 1040 /* deflate cannot do better; more is a lie about the size */
};
static const uint64_t max_inflated = (uint64_t)4 << 30; /* per archive */

/* ---- a file in memory, as minizip wants it ------------------------------------------------------------- */

typedef struct memory_file {
    const uint8_t *data;
    uint64_t bytes, position;
} memory_file;

static voidpf memory_open(voidpf opaque, const void *name, int mode)
{
    (void)name;
    (void)mode;
    return opaque;
}

static uLong memory_read(voidpf opaque, voidpf stream, void *out, uLong size)
{
    memory_file *file = stream;
    uint64_t take = QVK__MIN((uint64_t)size, file->bytes - file->position);

    (void)opaque;
    if (take > 0)
        memcpy(out, file->data + file->position, (size_t)take);
    file->position += take;
    return (uLong)take;
}

static ZPOS64_T memory_tell(voidpf opaque, voidpf stream)
{
    (void)opaque;
    return ((const memory_file *)stream)->position;
}

static long memory_seek(voidpf opaque, voidpf stream, ZPOS64_T offset, int origin)
{
    memory_file *file = stream;
    uint64_t base = origin == ZLIB_FILEFUNC_SEEK_CUR   ? file->position
                    : origin == ZLIB_FILEFUNC_SEEK_END ? file->bytes
                                                       : 0;
    (void)opaque;
    if (offset > file->bytes || base > file->bytes - offset)
        return -1;
    file->position = base + offset;
    return 0;
}

static int memory_close(voidpf opaque, voidpf stream)
{
    (void)opaque;
    (void)stream;
    return 0;
}

static int memory_error(voidpf opaque, voidpf stream)
{
    (void)opaque;
    (void)stream;
    return 0;
}

static unzFile open_memory(memory_file *file)
{
    zlib_filefunc64_def functions = {
        .zopen64_file = memory_open,
        .zread_file = memory_read,
        .ztell64_file = memory_tell,
        .zseek64_file = memory_seek,
        .zclose_file = memory_close,
        .zerror_file = memory_error,
        .opaque = file,
    };
    return unzOpen2_64("", &functions);
}

/* ---- the directory ------------------------------------------------------------------------------------- */

/* Where the data of minizip's current entry lies; checks that it is inside the archive. */
static qvk_status locate(const qvk__zip *zip, unzFile file, const char *name, uint64_t packed,
                         uint64_t *offset, qvk_error *err)
{
    int method, level;

    QVK__CHECK(unzOpenCurrentFile2(file, &method, &level, 1) == UNZ_OK, err, QVK_BAD_FORMAT,
               "%s: entry %s: its local header does not agree with the directory", zip->source, name);
    *offset = unzGetCurrentFileZStreamPos64(file);
    unzCloseCurrentFile(file);
    QVK__CHECK(*offset <= zip->bytes && packed <= zip->bytes - *offset, err, QVK_BAD_FORMAT,
               "%s: entry %s: its %llu bytes do not fit into the file (cut short?)", zip->source, name,
               (unsigned long long)packed);
    return QVK_OK;
}

static qvk_status read_entry(qvk__zip *zip, unzFile file, qvk_error *err)
{
    char name[MAX_NAME_BYTES];
    qvk__zip_entry entry = {0};
    unz_file_info64 info;
    unz64_file_pos position;
    uint64_t offset = 0;
    int64_t other;

    QVK__CHECK(unzGetCurrentFileInfo64(file, &info, name, sizeof name, NULL, 0, NULL, 0) == UNZ_OK &&
                   unzGetFilePos64(file, &position) == UNZ_OK,
               err, QVK_BAD_FORMAT, "%s: entry %zu of the archive's directory is broken", zip->source,
               zip->entries.count);
    QVK__CHECK(info.size_filename < sizeof name, err, QVK_BAD_FORMAT, "%s: entry %zu has a name too long",
               zip->source, zip->entries.count);
    QVK__CHECK(!(info.flag & FLAG_ENCRYPTED), err, QVK_UNSUPPORTED, "%s: entry %s is encrypted", zip->source,
               name);
    QVK__CHECK(info.compression_method == METHOD_STORED || info.compression_method == METHOD_DEFLATED, err,
               QVK_UNSUPPORTED, "%s: entry %s: compression method %lu", zip->source, name,
               info.compression_method);
    QVK__TRY(locate(zip, file, name, info.compressed_size, &offset, err));
    if (info.compression_method == METHOD_STORED) {
        QVK__CHECK(info.compressed_size == info.uncompressed_size, err, QVK_BAD_FORMAT,
                   "%s: entry %s is stored, but its two sizes differ", zip->source, name);
        entry.data = zip->data + offset;
    }
    entry.bytes = info.uncompressed_size;
    QVK__CHECK(entry.data || entry.bytes / MAX_DEFLATE_RATIO <= info.compressed_size, err, QVK_BAD_FORMAT,
               "%s: entry %s cannot unpack to %llu bytes", zip->source, name,
               (unsigned long long)entry.bytes);
    entry.directory_offset = position.pos_in_zip_directory;
    entry.index = position.num_of_file;
    entry.name = qvk__arena_strdup(zip->arena, name);
    QVK__CHECK(entry.name && !qvk__map_get(&zip->index, entry.name, &other), err,
               entry.name ? QVK_BAD_FORMAT : QVK_OUT_OF_MEMORY, "%s: entry %s is there twice", zip->source,
               name);
    QVK__CHECK(qvk__map_set(&zip->index, entry.name, (int64_t)zip->entries.count) &&
                   QVK__VEC_PUSH(&zip->entries, entry),
               err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

static qvk_status read_directory(qvk__zip *zip, unzFile file, qvk_error *err)
{
    int code = unzGoToFirstFile(file);
    const char *slash;

    while (code == UNZ_OK) {
        QVK__TRY(read_entry(zip, file, err));
        code = unzGoToNextFile(file);
    }
    QVK__CHECK(code == UNZ_END_OF_LIST_OF_FILE, err, QVK_BAD_FORMAT,
               "%s: the archive's directory is broken after entry %zu", zip->source, zip->entries.count);
    QVK__CHECK(zip->entries.count > 0, err, QVK_BAD_FORMAT, "%s: the archive is empty", zip->source);
    slash = strchr(zip->entries.data[0].name, '/');
    zip->root = qvk__arena_strndup(zip->arena, zip->entries.data[0].name,
                                   slash ? (size_t)(slash - zip->entries.data[0].name) + 1 : 0);
    QVK__CHECK(zip->root, err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

qvk_status qvk__zip_open(const uint8_t *data, uint64_t bytes, const char *source, qvk__arena *arena,
                         qvk__zip *out, qvk_error *err)
{
    qvk__zip zip = {.data = data, .bytes = bytes, .source = source, .arena = arena};
    memory_file memory = {data, bytes, 0};
    unzFile file = open_memory(&memory);
    qvk_status status;

    QVK__CHECK(file, err, QVK_BAD_FORMAT, "%s: not a zip archive (or cut short)", source);
    status = read_directory(&zip, file, err);
    unzClose(file);
    if (status == QVK_OK)
        *out = zip;
    else
        qvk__zip_close(&zip);
    return status;
}

void qvk__zip_close(qvk__zip *zip)
{
    free(zip->entries.data);
    qvk__map_free(&zip->index);
    memset(zip, 0, sizeof *zip);
}

/* ---- entries ------------------------------------------------------------------------------------------- */

qvk__zip_entry *qvk__zip_find(const qvk__zip *zip, const char *name)
{
    char full[MAX_NAME_BYTES];
    size_t root = strlen(zip->root), length = strlen(name);
    int64_t index;

    if (root + length >= sizeof full)
        return NULL;
    memcpy(full, zip->root, root);
    memcpy(full + root, name, length + 1);
    return qvk__map_get(&zip->index, full, &index) ? &zip->entries.data[index] : NULL;
}

static qvk_status inflate_entry(qvk__zip *zip, qvk__zip_entry *entry, qvk_error *err)
{
    memory_file memory = {zip->data, zip->bytes, 0};
    unz64_file_pos position = {entry->directory_offset, entry->index};
    qvk_status status = QVK_OK;
    uint64_t done_bytes = 0;
    uint8_t *data;
    unzFile file;

    QVK__CHECK(entry->bytes <= max_inflated - zip->inflated, err, QVK_UNSUPPORTED,
               "%s: the compressed entries are too large; store them uncompressed, as torch.export.save does",
               zip->source);
    data = qvk__arena_alloc(zip->arena, QVK__MAX(entry->bytes, 1), 1);
    file = open_memory(&memory);
    QVK__CHECK_GO(data && file, err, QVK_OUT_OF_MEMORY, "%s: out of memory", zip->source);
    QVK__CHECK_GO(unzGoToFilePos64(file, &position) == UNZ_OK && unzOpenCurrentFile(file) == UNZ_OK, err,
                  QVK_BAD_FORMAT, "%s: entry %s cannot be unpacked", zip->source, entry->name);
    while (done_bytes < entry->bytes) {
        unsigned chunk = (unsigned)QVK__MIN(entry->bytes - done_bytes, (uint64_t)1 << 24);
        int got = unzReadCurrentFile(file, data + done_bytes, chunk);
        QVK__CHECK_GO(got > 0, err, QVK_BAD_FORMAT, "%s: entry %s cannot be unpacked", zip->source,
                      entry->name);
        done_bytes += (uint64_t)got;
    }
    QVK__CHECK_GO(unzCloseCurrentFile(file) == UNZ_OK, err, QVK_BAD_FORMAT, "%s: entry %s: wrong checksum",
                  zip->source, entry->name);
    entry->data = data;
    zip->inflated += entry->bytes;
done:
    if (file)
        unzClose(file);
    return status;
}

qvk_status qvk__zip_get(qvk__zip *zip, const char *name, const uint8_t **data, uint64_t *bytes,
                        qvk_error *err)
{
    qvk__zip_entry *entry = qvk__zip_find(zip, name);

    QVK__CHECK(entry, err, QVK_BAD_FORMAT, "%s: the archive has no entry %s%s", zip->source, zip->root, name);
    if (!entry->data)
        QVK__TRY(inflate_entry(zip, entry, err));
    *data = entry->data;
    *bytes = entry->bytes;
    return QVK_OK;
}
