// SPDX-License-Identifier: Apache-2.0

// OpenSSL 3 for Swift: the headers, and functions in place of the macros that Swift can't import.
//
// A function with the name of a macro after `parley_` only calls that macro; the comments of the others describe what they do.
// Everything is `static inline`: the module has no object file.
#ifndef PARLEY_COPENSSL_SHIMS_H
#define PARLEY_COPENSSL_SHIMS_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// Options and modes: casts and shifts keep the originals from being imported.

static const uint64_t PARLEY_SSL_OP_NO_RENEGOTIATION = SSL_OP_NO_RENEGOTIATION;
static const uint64_t PARLEY_SSL_OP_NO_COMPRESSION = SSL_OP_NO_COMPRESSION;
static const uint64_t PARLEY_SSL_OP_CIPHER_SERVER_PREFERENCE = SSL_OP_CIPHER_SERVER_PREFERENCE;
static const uint64_t PARLEY_SSL_OP_PRIORITIZE_CHACHA = SSL_OP_PRIORITIZE_CHACHA;

static inline long parley_SSL_CTX_set_mode(SSL_CTX *context, long mode) {
    return SSL_CTX_set_mode(context, mode);
}

static inline int parley_SSL_CTX_set_min_proto_version(SSL_CTX *context, int version) {
    return (int)SSL_CTX_set_min_proto_version(context, version);
}

static inline int parley_SSL_CTX_set1_groups_list(SSL_CTX *context, const char *groups) {
    return (int)SSL_CTX_set1_groups_list(context, groups);
}

static inline long parley_SSL_CTX_set_session_cache_mode(SSL_CTX *context, long mode) {
    return SSL_CTX_set_session_cache_mode(context, mode);
}

static inline long parley_SSL_CTX_set_max_cert_list(SSL_CTX *context, long bytes) {
    return SSL_CTX_set_max_cert_list(context, bytes);
}

static inline int parley_SSL_CTX_add1_chain_cert(SSL_CTX *context, X509 *certificate) {
    return (int)SSL_CTX_add1_chain_cert(context, certificate);
}

static inline int parley_SSL_set_tlsext_host_name(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, name);
}

static inline void parley_SSL_set_msg_callback_arg(SSL *ssl, void *argument) {
    SSL_set_msg_callback_arg(ssl, argument);
}

// Sets the callback for the server name with its type, which the macro casts away.
static inline void parley_SSL_CTX_set_tlsext_servername(
    SSL_CTX *context, int (*callback)(SSL *ssl, int *alert, void *argument), void *argument) {
    SSL_CTX_set_tlsext_servername_callback(context, callback);
    SSL_CTX_set_tlsext_servername_arg(context, argument);
}

// BIO flags.

static inline void parley_BIO_set_retry_read(BIO *bio) { BIO_set_retry_read(bio); }

static inline void parley_BIO_clear_retry_flags(BIO *bio) { BIO_clear_retry_flags(bio); }

// Sets HMAC-SHA256 with the key in the context. Returns 1 on success. In C, because OSSL_PARAM arrays are awkward in Swift.
static inline int parley_hmac_sha256(EVP_MAC_CTX *context, unsigned char *key, size_t count) {
    OSSL_PARAM parameters[3];
    char digest[] = "SHA256";
    parameters[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key, count);
    parameters[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
    parameters[2] = OSSL_PARAM_construct_end();
    return EVP_MAC_CTX_set_params(context, parameters);
}

// Converts a certificate's time to seconds since 1970, also beyond 2038. Returns 1 on success.
static inline int parley_unix_time(const ASN1_TIME *time, int64_t *seconds) {
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0;
    int rest = 0;
    int result = epoch != NULL && ASN1_TIME_diff(&days, &rest, epoch, time);
    ASN1_TIME_free(epoch);
    if (!result) return 0;
    *seconds = (int64_t)days * 86400 + rest;
    return 1;
}

// Calls `visit` with each name of a certificate's subjectAltName that is of a kind: GEN_DNS, GEN_URI or GEN_EMAIL. The names aren't
// zero-terminated.
static inline void parley_visit_names(
    const X509 *certificate, int kind, void *argument, void (*visit)(void *argument, const unsigned char *name, int count)) {
    GENERAL_NAMES *names = (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    if (names == NULL) return;
    for (int index = 0; index < sk_GENERAL_NAME_num(names); index++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
        // All three kinds are an ASN1_IA5STRING in the same member of the union.
        if (name->type != kind) continue;
        visit(argument, ASN1_STRING_get0_data(name->d.ia5), ASN1_STRING_length(name->d.ia5));
    }
    GENERAL_NAMES_free(names);
}

// Calls `visit` with the last common name of a certificate's subject, in UTF-8, if there is one.
static inline void parley_visit_common_name(
    const X509 *certificate, void *argument, void (*visit)(void *argument, const unsigned char *name, int count)) {
    X509_NAME *subject = X509_get_subject_name(certificate);
    int last = -1;
    for (int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1); index >= 0;
         index = X509_NAME_get_index_by_NID(subject, NID_commonName, index)) {
        last = index;
    }
    if (last < 0) return;
    unsigned char *text = NULL;
    int count = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
    if (count < 0) return;
    visit(argument, text, count);
    OPENSSL_free(text);
}

// Digests. These functions are deprecated in favour of EVP's but, unlike those, don't allocate and can't fail.

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static inline void parley_sha1(const void *bytes, size_t count, unsigned char *digest) {
    SHA_CTX context;
    SHA1_Init(&context);
    SHA1_Update(&context, bytes, count);
    SHA1_Final(digest, &context);
}

static inline void parley_sha256_init(SHA256_CTX *context) { SHA256_Init(context); }

static inline void parley_sha256_update(SHA256_CTX *context, const void *bytes, size_t count) {
    SHA256_Update(context, bytes, count);
}

static inline void parley_sha256_final(SHA256_CTX *context, unsigned char *digest) { SHA256_Final(digest, context); }

#pragma GCC diagnostic pop

// Generated certificates.

static const int PARLEY_MBSTRING_UTF8 = MBSTRING_UTF8;

static inline EVP_PKEY *parley_generate_ec(const char *curve) { return EVP_EC_gen(curve); }

// Generates a key of a type without parameters, such as ED25519. Returns NULL on failure.
static inline EVP_PKEY *parley_generate_key(const char *type) { return EVP_PKEY_Q_keygen(NULL, NULL, type); }

static inline EVP_PKEY *parley_generate_rsa(unsigned int bits) { return EVP_RSA_gen(bits); }

static inline BIO *parley_BIO_new_memory(void) { return BIO_new(BIO_s_mem()); }

// Adds an extension in the syntax of OpenSSL's configuration files. Returns 1 on success. In C, because X509V3_CTX is awkward in Swift.
static inline int parley_X509_add_extension(X509 *certificate, int name, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, name, value);
    if (extension == NULL) return 0;
    int result = X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return result;
}

static inline void parley_OPENSSL_free(void *memory) { OPENSSL_free(memory); }

// Signature keys. In C, because OSSL_PARAM arrays are awkward in Swift.

// Constructs a public key from parameters. Returns NULL on failure.
static inline EVP_PKEY *parley_public_key(const char *type, OSSL_PARAM_BLD *builder) {
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;
    if (parameters == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1
        || EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return key;
}

// Constructs an RSA public key from its modulus and exponent, big-endian. Returns NULL on failure.
static inline EVP_PKEY *parley_public_rsa(
    const unsigned char *modulus, int modulus_count, const unsigned char *exponent, int exponent_count) {
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_bin2bn(modulus, modulus_count, NULL);
    BIGNUM *e = BN_bin2bn(exponent, exponent_count, NULL);
    EVP_PKEY *key = NULL;
    if (builder != NULL && n != NULL && e != NULL && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1) {
        key = parley_public_key("RSA", builder);
    }
    BN_free(n);
    BN_free(e);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

// Constructs a public key on an elliptic curve from an encoded point. Returns NULL on failure, such as for a point that isn't on the curve.
static inline EVP_PKEY *parley_public_ec(const char *group, const unsigned char *point, size_t count) {
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (builder != NULL && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) == 1
        && OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, count) == 1) {
        key = parley_public_key("EC", builder);
    }
    OSSL_PARAM_BLD_free(builder);
    return key;
}

#endif
