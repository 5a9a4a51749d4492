/* A bouncing ball as a native FMU of FMI 3.0, solved exactly between its bounces.
 *
 * h' = v, v' = -g; at h = 0 with v < 0: v = -e v, and rest below 0.1 m/s. The model is that of
 * the Modelica Reference FMUs (h = 1 m, g = 9.81 m/s2, e = 0.7); the code is not.
 */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { OK, WARNING, DISCARD, ERROR, FATAL };

typedef void (*Log)(void *, int, const char *, const char *);

typedef struct {
    double h, v, g, e, time;
    int64_t bounces;
    bool resting, events, early, pending;
} State;

typedef struct {
    State s;
    void *environment;
    Log log;
} Ball;

static void bounce(State *s) {
    s->h = 0;
    s->v = -s->e * s->v;
    s->bounces++;
    s->pending = false;
    if (s->v < 0.1) {
        s->v = 0;
        s->resting = true;
    }
}

static double until_ground(const State *s) {
    if (s->resting) return INFINITY;
    return (s->v + sqrt(s->v * s->v + 2 * s->g * s->h)) / s->g;
}

static void fall(State *s, double dt) {
    if (s->resting) return;
    s->h += s->v * dt - 0.5 * s->g * dt * dt;
    s->v -= s->g * dt;
}

const char *fmi3GetVersion(void) { return "3.0"; }

void *fmi3InstantiateCoSimulation(const char *name, const char *token, const char *resources,
                                  bool visible, bool logging, bool events, bool early,
                                  const uint32_t *variables, size_t count, void *environment,
                                  Log log, void *update) {
    (void)name, (void)resources, (void)visible, (void)logging, (void)variables, (void)count;
    (void)update;
    if (strcmp(token, "ball-1")) return NULL;
    Ball *ball = calloc(1, sizeof(Ball));
    ball->s = (State){.h = 1, .g = 9.81, .e = 0.7, .events = events, .early = early};
    ball->environment = environment;
    ball->log = log;
    return ball;
}

void fmi3FreeInstance(Ball *ball) { free(ball); }

int fmi3EnterInitializationMode(Ball *ball, bool tolerant, double tolerance, double start,
                                bool stops, double stop) {
    (void)tolerant, (void)tolerance, (void)stops, (void)stop;
    ball->s.time = start;
    return OK;
}

int fmi3ExitInitializationMode(Ball *ball) { return ball ? OK : ERROR; }
int fmi3EnterEventMode(Ball *ball) { return ball->s.events ? OK : ERROR; }
int fmi3EnterStepMode(Ball *ball) { return ball->s.events ? OK : ERROR; }

int fmi3UpdateDiscreteStates(Ball *ball, bool *needed, bool *end, bool *nominals, bool *values,
                             bool *timed, double *next) {
    *values = ball->s.pending;
    if (ball->s.pending) bounce(&ball->s);
    *needed = *end = *nominals = *timed = false;
    *next = 0;
    return OK;
}

int fmi3DoStep(Ball *ball, double time, double dt, bool forward, bool *event, bool *end,
               bool *early, double *last) {
    (void)forward;
    State *s = &ball->s;
    double left = dt, ground;
    *event = *end = *early = false;
    if (fabs(time - s->time) > 1e-9) {
        ball->log(ball->environment, ERROR, "logStatusError", "time is out of step");
        return ERROR;
    }
    while ((ground = until_ground(s)) <= left) {
        fall(s, ground);
        left -= ground;
        s->h = 0;
        s->pending = true;
        if (s->events && s->early) {
            s->time = *last = time + dt - left;
            *event = *early = true;
            return OK;
        }
        bounce(s);
    }
    fall(s, left);
    s->time = *last = time + dt;
    return OK;
}

int fmi3GetFloat64(Ball *ball, const uint32_t *refs, size_t n, double *values, size_t count) {
    (void)count;
    const double held[] = {ball->s.time, ball->s.h, ball->s.v, ball->s.g, ball->s.e};
    for (size_t i = 0; i < n; i++) {
        if (refs[i] > 4) return ERROR;
        values[i] = held[refs[i]];
    }
    return OK;
}

int fmi3SetFloat64(Ball *ball, const uint32_t *refs, size_t n, const double *values,
                   size_t count) {
    (void)count;
    double *held[] = {NULL, &ball->s.h, &ball->s.v, &ball->s.g, &ball->s.e};
    for (size_t i = 0; i < n; i++) {
        if (refs[i] > 4 || !held[refs[i]]) return ERROR;
        *held[refs[i]] = values[i];
    }
    return OK;
}

int fmi3GetInt64(Ball *ball, const uint32_t *refs, size_t n, int64_t *values, size_t count) {
    (void)count;
    for (size_t i = 0; i < n; i++) {
        if (refs[i] != 5) return ERROR;
        values[i] = ball->s.bounces;
    }
    return OK;
}

int fmi3GetFMUState(Ball *ball, State **state) {
    *state = malloc(sizeof(State));
    memcpy(*state, &ball->s, sizeof(State)); /* padding too: equal states are equal bytes */
    return OK;
}

int fmi3SetFMUState(Ball *ball, const State *state) {
    bool events = ball->s.events, early = ball->s.early;
    ball->s = *state;
    ball->s.events = events, ball->s.early = early;
    return OK;
}

int fmi3FreeFMUState(Ball *ball, State **state) {
    (void)ball;
    free(*state);
    *state = NULL;
    return OK;
}

int fmi3SerializedFMUStateSize(Ball *ball, const State *state, size_t *size) {
    (void)ball, (void)state;
    *size = sizeof(State);
    return OK;
}

int fmi3SerializeFMUState(Ball *ball, const State *state, uint8_t *bytes, size_t size) {
    (void)ball;
    if (size != sizeof(State)) return ERROR;
    memcpy(bytes, state, size);
    return OK;
}

int fmi3DeserializeFMUState(Ball *ball, const uint8_t *bytes, size_t size, State **state) {
    (void)ball;
    if (size != sizeof(State)) return ERROR;
    *state = malloc(size);
    memcpy(*state, bytes, size);
    return OK;
}

int fmi3Terminate(Ball *ball) { return ball ? OK : ERROR; }
int fmi3Reset(Ball *ball) { return ball ? ERROR : ERROR; }

#define ABSENT(name) \
    int fmi3##name(void) { return ERROR; }
ABSENT(ActivateModelPartition)
ABSENT(CompletedIntegratorStep)
ABSENT(EnterConfigurationMode)
ABSENT(EnterContinuousTimeMode)
ABSENT(EvaluateDiscreteStates)
ABSENT(ExitConfigurationMode)
ABSENT(GetAdjointDerivative)
ABSENT(GetBinary)
ABSENT(GetBoolean)
ABSENT(GetClock)
ABSENT(GetContinuousStateDerivatives)
ABSENT(GetContinuousStates)
ABSENT(GetDirectionalDerivative)
ABSENT(GetEventIndicators)
ABSENT(GetFloat32)
ABSENT(GetInt16)
ABSENT(GetInt32)
ABSENT(GetInt8)
ABSENT(GetIntervalDecimal)
ABSENT(GetIntervalFraction)
ABSENT(GetNominalsOfContinuousStates)
ABSENT(GetNumberOfContinuousStates)
ABSENT(GetNumberOfEventIndicators)
ABSENT(GetNumberOfVariableDependencies)
ABSENT(GetOutputDerivatives)
ABSENT(GetShiftDecimal)
ABSENT(GetShiftFraction)
ABSENT(GetString)
ABSENT(GetUInt16)
ABSENT(GetUInt32)
ABSENT(GetUInt64)
ABSENT(GetUInt8)
ABSENT(GetVariableDependencies)
ABSENT(InstantiateModelExchange)
ABSENT(InstantiateScheduledExecution)
ABSENT(SetBinary)
ABSENT(SetBoolean)
ABSENT(SetClock)
ABSENT(SetContinuousStates)
ABSENT(SetDebugLogging)
ABSENT(SetFloat32)
ABSENT(SetInt16)
ABSENT(SetInt32)
ABSENT(SetInt64)
ABSENT(SetInt8)
ABSENT(SetIntervalDecimal)
ABSENT(SetIntervalFraction)
ABSENT(SetShiftDecimal)
ABSENT(SetShiftFraction)
ABSENT(SetString)
ABSENT(SetTime)
ABSENT(SetUInt16)
ABSENT(SetUInt32)
ABSENT(SetUInt64)
ABSENT(SetUInt8)
