/*
 * A Vulkan loader between qvk and the real one (qvk__gpu_params.vk_get_instance_proc_addr): it makes a chosen
 * call fail, counts what is alive, and lets a device look like another one. One per test program.
 */
#ifndef QVK_TEST_VULKAN_PROXY_H
#define QVK_TEST_VULKAN_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "gpu/vulkan_compat.h"

typedef struct vulkan_proxy {
    /* The `fail_at`th call (from 1) of `fail_function` returns `fail_with`, and so do all later ones when
     * `fail_on`. */
    const char *fail_function;
    VkResult fail_with;
    long fail_at;
    bool fail_on;
    bool slow_compile;    /* a pipeline takes 400 ms more */
    bool hang;            /* no fence is ever seen signalled */
    const char *discrete; /* devices with this in their name look like discrete GPUs: nothing is mapped */
    bool bare;            /* Vulkan 1.1, no extension, no feature, no timestamps, 4 buffers a kernel */
    uint64_t heap_bytes;  /* size of every memory heap; 0: its own */
    bool uncached;        /* no memory type is host cached */
    bool no_compute;      /* no queue computes */
    bool no_devices;      /* the loader finds no driver */
    bool no_functions;    /* the loader has nothing */
    uint32_t instance_version;    /* of the loader; 0: its own */
    const char *missing_function; /* neither loader nor driver has it */
    /* The driver's compiler makes sums of this module's float products (by address, as in
     * qvk__gpu_pipeline_params.spirv). */
    const uint32_t *miscompiled;
} vulkan_proxy;

extern vulkan_proxy proxy;

/* All settings off, all counts 0. */
void vulkan_proxy_reset(void);
void *vulkan_proxy_loader(void);
/* Vulkan objects alive; prints how many of which kind. */
long vulkan_proxy_alive(void);
/* Calls since the last reset. */
long vulkan_proxy_calls(const char *function);
/* The most bytes of device memory alive at once since the reset. */
uint64_t vulkan_proxy_memory_peak(void);

/* Every function that can fail: 0 <= i < vulkan_proxy_n_functions(). */
int vulkan_proxy_n_functions(void);
const char *vulkan_proxy_function(int i);

#endif
