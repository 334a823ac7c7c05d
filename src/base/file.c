/* Mapped reading and whole-or-nothing writing. POSIX, and one call of Linux's own. */
#ifdef __linux__
#define _GNU_SOURCE /* sync_file_range */
#endif
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    WRITER_BUFFER_BYTES = 1 << 20,
    WRITEBACK_BYTES = 1 << 18,
    FAULT_BYTES = 1 << 16 /* Linux maps so many bytes around a page that is touched; a multiple of any page */
};

qvk_status qvk__file_map(const char *path, qvk__file *out, qvk_error *err)
{
    qvk_status status = QVK_OK;
    struct stat info;
    void *data = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    QVK__CHECK(fd >= 0, err, errno == ENOENT ? QVK_NOT_FOUND : QVK_IO, "%s: %s", path, strerror(errno));
    QVK__CHECK_GO(fstat(fd, &info) == 0, err, QVK_IO, "%s: %s", path, strerror(errno));
    QVK__CHECK_GO(S_ISREG(info.st_mode), err, QVK_IO, "%s: not a regular file", path);
    if (info.st_size > 0) {
        data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        QVK__CHECK_GO(data != MAP_FAILED, err, QVK_IO, "%s: %s", path, strerror(errno));
    }
    *out = (qvk__file){data, (uint64_t)info.st_size, data ? fd : -1};
    if (data)
        return QVK_OK;
done:
    close(fd);
    return status;
}

void qvk__file_unmap(qvk__file *file)
{
    if (file->data) {
        munmap((void *)(uintptr_t)file->data, (size_t)file->bytes);
        close(file->descriptor);
    }
    memset(file, 0, sizeof *file);
}

static bool holds(const qvk__file *file, const void *data, uint64_t bytes)
{
    const uintptr_t start = (uintptr_t)file->data, from = (uintptr_t)data;
    return file->data && from >= start && from - start <= file->bytes &&
           bytes <= file->bytes - (from - start);
}

qvk_status qvk__file_read(const qvk__file *file, const void *data, uint64_t bytes, void *buffer,
                          const void **out, qvk_error *err)
{
    uint8_t *to = buffer;

    *out = data;
    if (!holds(file, data, bytes))
        return QVK_OK;
    for (uint64_t at = (uint64_t)((const uint8_t *)data - file->data); bytes > 0;) {
        const ssize_t n = pread(file->descriptor, to, (size_t)QVK__MIN(bytes, (uint64_t)1 << 30), (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        QVK__CHECK(n > 0, err, QVK_IO, "%s", n < 0 ? strerror(errno) : "the file has become shorter");
        to += n;
        at += (uint64_t)n;
        bytes -= (uint64_t)n;
    }
    *out = buffer;
    return QVK_OK;
}

void qvk__file_let_go(const qvk__file *file, const void *data, uint64_t bytes)
{
#ifdef MADV_DONTNEED
    const uintptr_t first = (uintptr_t)file->data, last = first + (uintptr_t)file->bytes;
    uintptr_t begin = (uintptr_t)data, end = begin + (uintptr_t)bytes;

    if (!holds(file, data, bytes))
        return;
    /* Whole faults: the one at the end has what comes next in it, and goes with that. */
    begin = QVK__MAX(begin / FAULT_BYTES * FAULT_BYTES, first);
    end = end == last ? last : end / FAULT_BYTES * FAULT_BYTES;
    if (begin < end)
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
#else
    (void)file, (void)data, (void)bytes;
#endif
}

static char *temporary_name(const char *path)
{
    static const char format[] = "%s.tmp.%ld.%llx";
    unsigned long long tag = (unsigned long long)qvk__clock_ns();
    int length = snprintf(NULL, 0, format, path, (long)getpid(), tag);
    char *name = length < 0 ? NULL : malloc((size_t)length + 1);

    if (name)
        snprintf(name, (size_t)length + 1, format, path, (long)getpid(), tag);
    return name;
}

static void release(qvk__writer *writer)
{
    if (writer->descriptor >= 0)
        close(writer->descriptor);
    free(writer->path);
    free(writer->temporary);
    free(writer->buffer);
    memset(writer, 0, sizeof *writer);
    writer->descriptor = -1;
}

qvk_status qvk__writer_open(const char *path, qvk__writer *out, qvk_error *err)
{
    qvk_status status = QVK_OK;
    qvk__writer writer = {.descriptor = -1};

    writer.path = strdup(path);
    writer.temporary = temporary_name(path);
    writer.buffer = malloc(WRITER_BUFFER_BYTES);
    QVK__CHECK_GO(writer.path && writer.temporary && writer.buffer, err, QVK_OUT_OF_MEMORY,
                  "%s: out of memory", path);
    writer.descriptor = open(writer.temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    QVK__CHECK_GO(writer.descriptor >= 0, err, QVK_IO, "%s: %s", path, strerror(errno));
    *out = writer;
    return QVK_OK;
done:
    release(&writer);
    return status;
}

static qvk_status write_all(qvk__writer *writer, const uint8_t *data, uint64_t bytes, qvk_error *err)
{
    while (bytes > 0) {
        size_t chunk = (size_t)QVK__MIN(bytes, (uint64_t)1 << 30);
        ssize_t wrote = write(writer->descriptor, data, chunk);
        if (wrote < 0 && errno == EINTR)
            continue;
        QVK__CHECK(wrote > 0, err, QVK_IO, "%s: %s", writer->path, wrote < 0 ? strerror(errno) : "disk full");
        data += wrote;
        bytes -= (uint64_t)wrote;
    }
    return QVK_OK;
}

static qvk_status flush(qvk__writer *writer, qvk_error *err)
{
    size_t bytes = writer->buffered;
    writer->buffered = 0;
    return write_all(writer, writer->buffer, bytes, err);
}

qvk_status qvk__writer_add(qvk__writer *writer, const void *data, uint64_t bytes, qvk_error *err)
{
    if (bytes > WRITER_BUFFER_BYTES - writer->buffered)
        QVK__TRY(flush(writer, err));
    if (bytes > WRITER_BUFFER_BYTES) {
        QVK__TRY(write_all(writer, data, bytes, err));
    } else if (bytes > 0) {
        memcpy(writer->buffer + writer->buffered, data, (size_t)bytes);
        writer->buffered += (size_t)bytes;
    }
    writer->position += bytes;
    return QVK_OK;
}

qvk_status qvk__writer_pad(qvk__writer *writer, uint64_t alignment, qvk_error *err)
{
    static const uint8_t zeros[256];
    uint64_t missing = qvk__round_up(writer->position, alignment) - writer->position;

    while (missing > 0) {
        uint64_t take = QVK__MIN(missing, sizeof zeros);
        QVK__TRY(qvk__writer_add(writer, zeros, take, err));
        missing -= take;
    }
    return QVK_OK;
}

qvk_status qvk__writer_skip(qvk__writer *writer, uint64_t bytes, qvk_error *err)
{
    QVK__TRY(flush(writer, err));
    QVK__CHECK(lseek(writer->descriptor, (off_t)bytes, SEEK_CUR) >= 0, err, QVK_IO, "%s: %s", writer->path,
               strerror(errno));
    writer->position += bytes;
    return QVK_OK;
}

/* The disk may begin with these bytes, so that less is left for the fsync at the end, which also tells of
 * what fails. */
static void start_writeback(const qvk__writer *writer, uint64_t at, uint64_t bytes)
{
#ifdef __linux__
    if (bytes >= WRITEBACK_BYTES)
        (void)sync_file_range(writer->descriptor, (off_t)at, (off_t)bytes, SYNC_FILE_RANGE_WRITE);
#else
    (void)writer, (void)at, (void)bytes;
#endif
}

qvk_status qvk__writer_patch(qvk__writer *writer, uint64_t at, const void *data, uint64_t bytes,
                             qvk_error *err)
{
    const uint8_t *from = data;

    QVK__CHECK(at <= writer->position && bytes <= writer->position - at, err, QVK_INTERNAL,
               "%s: patch past the end", writer->path);
    if (writer->buffered > 0)
        QVK__TRY(flush(writer, err));
    while (bytes > 0) {
        ssize_t wrote =
            pwrite(writer->descriptor, from, (size_t)QVK__MIN(bytes, (uint64_t)1 << 30), (off_t)at);
        if (wrote < 0 && errno == EINTR)
            continue;
        QVK__CHECK(wrote > 0, err, QVK_IO, "%s: %s", writer->path, wrote < 0 ? strerror(errno) : "disk full");
        start_writeback(writer, at, (uint64_t)wrote);
        from += wrote;
        at += (uint64_t)wrote;
        bytes -= (uint64_t)wrote;
    }
    return QVK_OK;
}

qvk_status qvk__writer_commit(qvk__writer *writer, qvk_error *err)
{
    qvk_status status = QVK_OK;

    QVK__TRY_GO(flush(writer, err));
    QVK__CHECK_GO(fsync(writer->descriptor) == 0 || errno == EINVAL || errno == ENOTSUP, err, QVK_IO,
                  "%s: %s", writer->path, strerror(errno));
    QVK__CHECK_GO(rename(writer->temporary, writer->path) == 0, err, QVK_IO, "%s: %s", writer->path,
                  strerror(errno));
    release(writer);
    return QVK_OK;
done:
    qvk__writer_abandon(writer);
    return status;
}

void qvk__writer_abandon(qvk__writer *writer)
{
    /* A released writer has no temporary, so this is safe after a commit and on a zeroed struct. */
    if (!writer->temporary)
        return;
    unlink(writer->temporary);
    release(writer);
}

qvk_status qvk__file_write(const char *path, const void *data, uint64_t bytes, qvk_error *err)
{
    qvk__writer writer;
    qvk_status status;

    QVK__TRY(qvk__writer_open(path, &writer, err));
    QVK__TRY_GO(qvk__writer_add(&writer, data, bytes, err));
    QVK__TRY_GO(qvk__writer_commit(&writer, err));
done:
    qvk__writer_abandon(&writer);
    return status;
}

qvk_status qvk__folders_make(const char *path, qvk_error *err)
{
    char *folder = strdup(path);
    qvk_status status = QVK_OK;
    int failure = 0;

    QVK__CHECK(folder, err, QVK_OUT_OF_MEMORY, "%s: out of memory", path);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        failure = mkdir(folder, 0777) == 0 || errno == EEXIST ? 0 : errno; /* the last one tells */
        *slash = '/';
    }
    if (failure)
        status = qvk__fail(err, QVK_IO, "%.*s: %s", (int)(strrchr(folder, '/') - folder), folder,
                           strerror(failure));
    free(folder);
    return status;
}

uint64_t qvk__clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
