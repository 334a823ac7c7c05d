/*
 * Preloaded by the sanitizer run of tools/check.sh: libraries are never unloaded, so that what a Vulkan
 * driver leaks can be told by its name (leaks.supp) and not only by addresses where nothing is any more.
 */
int dlclose(void *handle);

int dlclose(void *handle)
{
    (void)handle;
    return 0;
}
