// What follows the exact sum of a static int8 convolution, one float32 rounding an operation as the reference does it:
// out = sat8(rne(max(sum * scale + bias, 0 if relu) * inverse_scale) + zero_point). Define EPILOGUE_WORDS, the buffer
// that qvk__pack_q8ta_epilogue (src/kernels/pack_q8ta.c) filled: scale, bias, correction, 0 for each output channel.
#ifndef Q8TA_EPILOGUE_GLSL
#define Q8TA_EPILOGUE_GLSL

#include "qint8.glsl"

// sum: of q w over the whole window, padding included; the correction (input zero point times the weights' sum) is
// what makes it the sum of (q - zero point) w.
int q8ta_output(int sum, uint channel, bool relu, float inverse_scale, float zero_point)
{
    const float scale = uintBitsToFloat(EPILOGUE_WORDS[channel * 4u]);
    const float bias = uintBitsToFloat(EPILOGUE_WORDS[channel * 4u + 1u]);
    const int correction = int(EPILOGUE_WORDS[channel * 4u + 2u]);
    precise float y = float(sum - correction) * scale;
    y = y + bias;
    if (relu && y < 0.0)
        y = 0.0;
    return quantize_int8(y, inverse_scale, zero_point);
}

#endif
