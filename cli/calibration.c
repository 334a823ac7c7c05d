#include "calibration.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "qvk/npy.h"
#include "qvk/quantize.h"

enum { MAX_PATH = 4096, MAX_INPUTS = 64 };

typedef struct source {
    const char *path;
    bool archive;     /* an .npz */
    int64_t *samples; /* sorted numbers */
    size_t count, capacity;
} source;

/* Sample number of "calib_<j>_in_<i>" with an optional suffix; false: another file. */
static bool parse_name(const char *name, int64_t *sample)
{
    long long j, i;
    int end = 0;

    if (sscanf(name, "calib_%lld_in_%lld%n", &j, &i, &end) != 2 || j < 0 || i < 0)
        return false;
    if (name[end] != '\0' && strcmp(name + end, ".npy") != 0)
        return false;
    *sample = j;
    return true;
}

static int by_number(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static bool add_sample(source *s, int64_t number)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->samples[i] == number)
            return true;
    if (s->count == s->capacity) {
        size_t capacity = s->capacity * 2 + 16;
        int64_t *grown = realloc(s->samples, capacity * sizeof *grown);
        if (!grown)
            return false;
        s->samples = grown;
        s->capacity = capacity;
    }
    s->samples[s->count++] = number;
    return true;
}

static bool add_entry(const char *name, void *user)
{
    int64_t number;
    return !parse_name(name, &number) || add_sample(user, number);
}

static int list_samples(source *s)
{
    struct dirent *entry;
    struct stat info;
    qvk_error error;
    bool ok = true;
    DIR *dir;

    if (stat(s->path, &info) == 0 && S_ISREG(info.st_mode)) {
        s->archive = true;
        if (qvk_npz_list(s->path, add_entry, s, &error) != QVK_OK)
            return cli_fail(&error);
    } else {
        dir = opendir(s->path);
        if (!dir)
            return cli_complain("%s: cannot be opened as a folder of samples", s->path);
        while (ok && (entry = readdir(dir)))
            ok = add_entry(entry->d_name, s);
        closedir(dir);
        if (!ok)
            return cli_complain("out of memory");
    }
    if (s->count == 0)
        return cli_complain("%s: no sample: files are named calib_<sample>_in_<input>.npy", s->path);
    qsort(s->samples, s->count, sizeof *s->samples, by_number);
    return CLI_OK;
}

static qvk_status load_input(const source *s, int64_t sample, int input, qvk_tensor *out, qvk_error *error)
{
    char name[MAX_PATH];

    if (s->archive) {
        snprintf(name, sizeof name, "calib_%lld_in_%d", (long long)sample, input);
        return qvk_npz_load(s->path, name, out, error);
    }
    snprintf(name, sizeof name, "%s/calib_%lld_in_%d.npy", s->path, (long long)sample, input);
    return qvk_npy_load(name, out, error);
}

static int run_sample(const source *s, size_t index, qvk_program *program, qvk_context *context)
{
    qvk_tensor inputs[MAX_INPUTS];
    int32_t wanted = qvk_program_input_count(program), n = 0;
    qvk_error error;
    int status = CLI_OK;

    if (wanted > MAX_INPUTS)
        return cli_complain("calibration: %d inputs, at most %d are possible", wanted, MAX_INPUTS);
    for (; n < wanted && status == CLI_OK; n += status == CLI_OK)
        if (load_input(s, s->samples[index], n, &inputs[n], &error) != QVK_OK)
            status = cli_fail(&error);
    if (status == CLI_OK && qvk_calibrate(program, context, inputs, n, &error) != QVK_OK)
        status = cli_fail(&error);
    for (int32_t i = 0; i < n; i++)
        qvk_tensor_free(&inputs[i]);
    return status;
}

static void show_progress(size_t done, size_t total, time_t started)
{
    double elapsed = difftime(time(NULL), started);

    if (!isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\rcalibrating: %zu of %zu, %.0f s left ", done, total,
            done ? elapsed / (double)done * (double)(total - done) : 0.0);
    if (done == total)
        fprintf(stderr, "\r\033[K");
    fflush(stderr);
}

int cli_calibrate(const cli_options *options, qvk_program *program)
{
    source s = {.path = cli_text(options, CLI_OPTION_CALIBRATE)};
    const qvk_context_params params = cli_context_params(options);
    qvk_context *context = NULL;
    time_t started = time(NULL);
    int status = list_samples(&s);

    /* No device: the reference executor does it, slower and with the same result. */
    if (status == CLI_OK && qvk_context_create(&params, &context, NULL) != QVK_OK)
        context = NULL;
    for (size_t i = 0; i < s.count && status == CLI_OK; i++) {
        show_progress(i, s.count, started);
        status = run_sample(&s, i, program, context);
    }
    if (status == CLI_OK)
        show_progress(s.count, s.count, started);
    free(s.samples);
    qvk_context_destroy(&context);
    return status;
}
