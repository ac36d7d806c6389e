// SPDX-License-Identifier: Apache-2.0
// A PKCS#11 library that does what a vendor's must not: it passes calls on to another library, and meanwhile prints,
// forks, ends its process, gives orders at the node's admin socket, or reads the node's files.
//
// Environment: ROGUE_MODULE, the library behind it; ROGUE_ACT, one of print, fork, exit, admin, files; ROGUE_OUTCOME, a
// file to which it appends a line for each thing that it tried; ROGUE_ADMIN, the path of the admin socket; ROGUE_FILES,
// paths separated by colons.
// Built by attack_stage.py: cc -O2 -shared -fPIC -o rogue.so rogue-pkcs11.c -ldl -lpthread

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <softhsm/pkcs11.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// So many encryptions are made before the process ends.
enum { CALLS_BEFORE_EXIT = 50 };
// Whom it blocks, and then not.
#define ROGUE "arn:aws:iam::000000000000:user/rogue"

static CK_FUNCTION_LIST list;
static CK_FUNCTION_LIST_PTR real;
static atomic_int calls;

static void note(const char *format, ...) {
    const char *path = getenv("ROGUE_OUTCOME");
    if (path == NULL) return;
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length < 0 || length >= (int)sizeof line - 1) return;
    line[length] = '\n';
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) return;
    if (write(file, line, (size_t)length + 1) < 0) _exit(99);
    close(file);
}

static void print(void) {
    for (int number = 0;; number++) {
        printf("rogue stdout %d \"}\n", number);
        fflush(stdout);
        fprintf(stderr, "rogue stderr %d \"}\n", number);
        usleep(100 * 1000);
    }
}

/// Helpers that hold every descriptor of this process: one in its process group, one in a session of its own.
static void fork_helpers(void) {
    for (int round = 0; round < 2; round++) {
        pid_t child = fork();
        if (child == 0) {
            if (round == 1) setsid();
            note("helper %d", (int)getpid());
            sleep(120);
            _exit(0);
        }
        if (child < 0) note("fork: %s", strerror(errno));
    }
}

/// The status of what the admin socket answers, and what it was asked.
static void order(const char *target, const char *body) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, getenv("ROGUE_ADMIN"), sizeof address.sun_path - 1);
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char text[1024];
    if (sock < 0 || connect(sock, (struct sockaddr *)&address, sizeof address) != 0) {
        note("order %s: %s", target, strerror(errno));
        if (sock >= 0) close(sock);
        return;
    }
    int length = snprintf(
        text, sizeof text,
        "POST %s HTTP/1.1\r\nhost: node\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n"
        "connection: close\r\n\r\n%s",
        target, strlen(body), body);
    ssize_t got = -1;
    if (write(sock, text, (size_t)length) == length) got = read(sock, text, sizeof text - 1);
    if (got >= 12) {
        text[12] = 0;
        note("order %s: %s", target, text + 9);
    } else {
        note("order %s: no answer", target);
    }
    close(sock);
}

static void give_orders(void) {
    // The node takes orders once it serves.
    sleep(3);
    order("/blocks", "{\"principal\":\"" ROGUE "\",\"reason\":\"rogue\",\"user\":\"alice\"}");
    order("/blocks/lift", "{\"principal\":\"" ROGUE "\",\"user\":\"alice\"}");
    order("/key/foo/trust?hsm=hsm-1", "");
    order("/hsm/hsm-2/drain", "");
    order("/reload", "");
    order("/drain", "");
}

static void read_files(void) {
    char paths[4096];
    snprintf(paths, sizeof paths, "%s", getenv("ROGUE_FILES"));
    for (char *rest = paths, *path; (path = strsep(&rest, ":")) != NULL;) {
        int file = open(path, O_RDONLY | O_CLOEXEC);
        note("read %s: %s", path, file < 0 ? strerror(errno) : "open");
        if (file >= 0) close(file);
    }
    pid_t node = getppid();
    note("signal the node: %s", kill(node, 0) == 0 ? "done" : strerror(errno));
    note("trace the node: %s", ptrace(PTRACE_SEIZE, node, 0, 0) == 0 ? "done" : strerror(errno));
}

static void *act(void *name) {
    if (strcmp(name, "print") == 0) print();
    if (strcmp(name, "fork") == 0) fork_helpers();
    if (strcmp(name, "admin") == 0) give_orders();
    if (strcmp(name, "files") == 0) read_files();
    return NULL;
}

static CK_RV encrypt(
    CK_SESSION_HANDLE session, CK_BYTE_PTR data, CK_ULONG size, CK_BYTE_PTR output, CK_ULONG_PTR length) {
    if (atomic_fetch_add(&calls, 1) == CALLS_BEFORE_EXIT) {
        note("exit");
        exit(0);
    }
    return real->C_Encrypt(session, data, size, output, length);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR result) {
    if (real == NULL) {
        void *library = dlopen(getenv("ROGUE_MODULE"), RTLD_NOW | RTLD_LOCAL);
        CK_RV (*get)(CK_FUNCTION_LIST_PTR_PTR) =
            library ? (CK_RV(*)(CK_FUNCTION_LIST_PTR_PTR))dlsym(library, "C_GetFunctionList") : NULL;
        if (get == NULL || get(&real) != CKR_OK) return CKR_GENERAL_ERROR;
        list = *real;
        char *name = getenv("ROGUE_ACT");
        if (name != NULL && strcmp(name, "exit") == 0) list.C_Encrypt = encrypt;
        pthread_t thread;
        if (name != NULL && pthread_create(&thread, NULL, act, name) == 0) pthread_detach(thread);
    }
    *result = &list;
    return CKR_OK;
}
