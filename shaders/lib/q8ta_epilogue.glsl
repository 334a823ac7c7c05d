// What follows the exact sum of a static int8 convolution, one float32 rounding an operation as the reference does it:
// out = sat8(rne(max(sum * scale + bias, 0 if relu) * inverse_scale) + zero_point). Define EPILOGUE_WORDS, the buffer
// that qvk__pack_q8ta_epilogue (src/kernels/pack_q8ta.c) filled: scale, bias, correction, 0 for each output channel.
#ifndef Q8TA_EPILOGUE_GLSL
#define Q8TA_EPILOGUE_GLSL

#include "qint8.glsl"

// sum: of (q - input zero point) w over the window.
int q8ta_exact_output(int sum, uint channel, bool relu, float inverse_scale, float zero_point)
{
    const float scale = uintBitsToFloat(EPILOGUE_WORDS[channel * 4u]);
    const float bias = uintBitsToFloat(EPILOGUE_WORDS[channel * 4u + 1u]);
    precise float y = float(sum) * scale;
    y = y + bias;
    if (relu && y < 0.0)
        y = 0.0;
    return quantize_int8(y, inverse_scale, zero_point);
}

// sum: of q w, the padding counted as the input zero point; the correction (zero point times the weights' sum) makes it
// the other.
int q8ta_output(int sum, uint channel, bool relu, float inverse_scale, float zero_point)
{
    const int correction = int(EPILOGUE_WORDS[channel * 4u + 2u]);
    return q8ta_exact_output(sum - correction, channel, relu, inverse_scale, zero_point);
}

#endif
