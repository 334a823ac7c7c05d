/* volk's own implementation: it finds libvulkan at run time, so that nothing here links to it. */
#define VOLK_IMPLEMENTATION
#include <volk.h>
