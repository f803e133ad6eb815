// export/score: rewards. See score.h.
#include "export/score.h"
#include <math.h>
#include <string.h>

double hone_score_speedup(double x) {
    if (!(x > 0) || !isfinite(x))
        return 0;
    // 1.15 is 114.999… hundredths: what is a hundredth but for rounding stays one
    return x >= 1 ? floor(x * 100 + 1e-9) / 100 : ceil(x * 100 - 1e-9) / 100;
}

double hone_score_reward(bool correct, double speedup) { return correct ? HONE_SCORE_CORRECT + hone_score_speedup(speedup) : 0; }

static bool passed(const json_t *outcome, const char *stage) {
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(outcome, "stages"), i, s) {
        const char *name = json_string_value(json_object_get(s, "name")), *status = json_string_value(json_object_get(s, "status"));
        if (name && status && !strcmp(name, stage))
            return !strcmp(status, "pass");
    }
    return false;
}

json_t *hone_score_components(const json_t *outcome, double baseline_us, double *reward) {
    const char *verdict = json_string_value(json_object_get(outcome, "verdict"));
    const json_t *time = json_object_get(outcome, "time");
    double us = json_number_value(json_object_get(time, "time_us"));
    bool correct = verdict && !strcmp(verdict, "pass");
    double speedup = correct && us > 0 && baseline_us > 0 ? baseline_us / us : 0;
    json_t *o = json_pack("{s:b, s:b, s:b, s:s}", "parsed", outcome != NULL, "compiled", (int)passed(outcome, "compile"), "correct", (int)correct, "verdict",
                          verdict ? verdict : "fail");
    static const char *const keys[] = {"time_us", "lo_us", "hi_us", "kind"};
    for (size_t i = 0; i < HONE_COUNT(keys); i++)
        if (correct && json_object_get(time, keys[i]))
            json_object_set(o, keys[i], json_object_get(time, keys[i]));
    if (speedup > 0)
        json_object_set_new(o, "speedup", json_real(speedup));
    *reward = hone_score_reward(correct, speedup);
    return o;
}
