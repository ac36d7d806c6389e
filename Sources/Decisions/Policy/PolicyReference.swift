// SPDX-License-Identifier: Apache-2.0

/// The reference of the language (`docs/reference/policy.md`), made of what the reader takes.
package enum PolicyReference {
    /// A policy that shows most of it, and that is right.
    package static let example = #"""
        {
          "Version": "2012-10-17",
          "Statement": [
            {
              "Sid": "PaymentsByItsRole",
              "Effect": "Allow",
              "Principal": { "AWS": "arn:aws:iam::111122223333:role/payments" },
              "Action": ["xks:Encrypt", "xks:Decrypt"],
              "Resource": ["payments", "payments-*"],
              "Condition": {
                "StringEquals": { "awsSourceVpc": "vpc-0a1b2c3d4e5f" },
                "ArnLike": { "kmsKeyArn": "arn:aws:kms:eu-central-1:111122223333:key/*" }
              }
            },
            {
              "Sid": "VolumesByEBS",
              "Effect": "Allow",
              "Principal": "111122223333",
              "Action": ["xks:Encrypt", "xks:Decrypt"],
              "Resource": "volumes",
              "Condition": { "StringLike": { "kmsViaService": ["ebs", "ec2.*.amazonaws.com"] } }
            },
            {
              "Sid": "NewKMSKeysByAdministrators",
              "Effect": "Allow",
              "Principal": { "AWS": "arn:aws:iam::111122223333:role/kms-admin" },
              "Action": "xks:GetKeyMetadata",
              "Resource": "*"
            },
            {
              "Sid": "NothingOldAfter2026",
              "Effect": "Deny",
              "Principal": "*",
              "Action": "xks:Encrypt",
              "Resource": "old-*",
              "Condition": { "DateGreaterThanEquals": { "xks:CurrentTime": "2027-01-01T00:00:00Z" } }
            }
          ]
        }
        """#

    /// The document, in Markdown.
    package static func markdown() -> String {
        [preamble, statement, conditions, keys, operators, severalValues, differences, limits].joined(separator: "\n")
    }

    private static let preamble = """
        # Policies

        What a key store allows beyond that a request is signed: *secondary authorization* (XKS 1.0.3, "Authorization"), in the
        language of IAM's policies. `policy = "FILE.json"` in `[[keystore]]` names the file; a key store without one allows
        everything. How to bring one in is told in the [guide](../guides/policies.md).

        - A request is allowed where a statement with `Allow` matches it and none with `Deny` does. What no statement allows is
          denied.
        - KMS is answered AccessDeniedException. It is not told by which statement; the [log](log.md) is (`policy`, `reason`).
        - The policy is asked after the signature and the [blocks](../guides/break-glass.md), and before anything is said of
          the key. It is never asked about GetHealthStatus.
        - A request that is passed on to a peer was allowed by the first node, and the peer asks its own policy besides, with
          the client's address that the first node tells.
        - Every node of a cluster needs the same file; where files differ by a byte, `configuration-differs` says so.
        - A reload reads the file again. One that is wrong changes nothing, and the answer says what is wrong.

        ```json
        \(example)
        ```

        """

    private static var statement: String {
        let actions = PolicyAction.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ")
        return """
            ## A statement

            A file is an object with `Statement` (a list of statements, or one), and, if need be, `Version` (`2012-10-17`) and `Id`.
            A name that is not among these, or not among those of a statement, is an error.

            | member | content |
            |---|---|
            | `Sid` | its name in the log, unique in the file; 1 to \(PolicyLimits.sidCharacters) of `A-Z a-z 0-9 space - . _`. Without one it is `statement 3` |
            | `Effect` | `Allow` or `Deny` |
            | `Principal` | who called KMS: `"*"` for anybody, or `{ "AWS": …, "Service": … }`, or the value alone. A value is an ARN, with `*` and `?` if need be; an account, `111122223333` or `arn:aws:iam::111122223333:root`, for everybody in it; a service, `ec2.amazonaws.com`; `AWS Internal`; or a list of these. KMS names a role, not its session |
            | `Action` | \(actions), `xks:*` for all, or a list |
            | `Resource` | external key ids, with `*` and `?` if need be, or a list |
            | `Condition` | what must be so besides; may be left out |

            `*` stands for any number of characters, `?` for one; `${*}`, `${?}` and `${$}` for the characters themselves.

            """
    }

    private static let conditions = """
        ## Conditions

        `{ OPERATOR: { KEY: VALUE or [VALUE, …] } }`. All operators and all keys must hold; of a list of values one must fit, and of
        a negated operator none may.

        """

    private static var keys: String {
        let rows = ConditionKey.known.map { "| `\($0.name)` | \($0.meaning) |" }.joined(separator: "\n")
        return """
            | key | value |
            |---|---|
            \(rows)
            | any other name | a field of requestMetadata that KMS may send one day, under its name there; until then it is absent, and `claviger policy check` says so |

            `xks:ClientAddress` is KMS's own address, or that of whoever has connected. Behind a load balancer it is the client only where
            `xks.proxy_protocol_from` names the balancer; `claviger check` warns otherwise. It is not the address of KMS's caller: KMS
            tells that to nobody. An empty value counts as absent.

            """
    }

    private static var operators: String {
        let rows = Comparison.allCases.map { "| `\($0.rawValue)` | \($0.meaning) | \($0.whereAbsent) |" }
        return """
            | operator | holds where | of an absent key |
            |---|---|---|
            \(rows.joined(separator: "\n"))

            `IfExists` after an operator (not after `Null`): it holds, too, where the key is absent. Numbers are decimal; a value that is no
            number, no date, no address is not as any of the policy's. Dates are `2026-01-31T08:00:00Z`, with `Z` or `+01:00`,
            `2026-01-31` for its first second, UTC, or seconds since 1970.

            """
    }

    private static let severalValues = """
        ## Several values

        All fields that KMS sends today have one value. Of a field with several, an operator alone holds where one of them fits, a
        negated one where none does. `ForAnyValue:` before an operator: at least one of the request's values passes it, and none does
        where the key is absent. `ForAllValues:`: each of them passes, also where there is none; with `Allow` that is rarely meant, and
        `claviger policy check` says so. Neither goes with `IfExists`.

        """

    private static let differences = """
        ## What IAM has and this has not

        `NotPrincipal`, `NotAction` and `NotResource` (use a condition), policy variables (`${aws:username}`), `BinaryEquals`, keys with
        `aws:` and `kms:` (use the names above). Names of keys and actions are told apart by case. The six parts of an ARN are compared
        one by one by `ArnEquals`, `ArnLike` and their negations, which mean the same; in `Principal` and for `StringLike` a `*` reaches
        over colons.

        """

    private static let limits = """
        ## Limits

        | of | at most |
        |---|---|
        | the file | \(PolicyLimits.fileBytes) bytes |
        | statements | \(PolicyLimits.statements) |
        | values of all statements together | \(PolicyLimits.values) |
        | a value | \(PolicyLimits.valueBytes) bytes |
        | nesting | \(PolicyLimits.depth) |
        | characters between two `*` with a `?` among them | \(PolicyLimits.charactersBetweenStars) |

        A decision looks only at statements that can match: each is filed under a resource, a principal, an account or a condition's
        value that it asks for, by the text before the first wildcard or a piece between two of them. Among 1,000 such statements it takes less than
        a microsecond, as among 10 (`make policy-bench`). A statement that asks for nothing that can be filed so (everybody, any key, and
        conditions that are negated or have `IfExists`) is asked at each request. A pattern takes time linear in
        the text, whatever it is.

        """
}

extension Comparison {
    /// For documents.
    fileprivate var meaning: String {
        switch self {
        case .stringEquals: "the value is the same, byte for byte"
        case .stringNotEquals: "it is not"
        case .stringEqualsIgnoreCase: "the value is the same but for the case of ASCII letters"
        case .stringNotEqualsIgnoreCase: "it is not"
        case .stringLike: "the value fits the pattern"
        case .stringNotLike: "it does not"
        case .arnEquals, .arnLike: "the value is an ARN, and each part fits that of the pattern"
        case .arnNotEquals, .arnNotLike: "it does not"
        case .numericEquals: "the number is the same"
        case .numericNotEquals: "it is not"
        case .numericLessThan: "it is less"
        case .numericLessThanEquals: "it is at most so much"
        case .numericGreaterThan: "it is more"
        case .numericGreaterThanEquals: "it is at least so much"
        case .dateEquals: "the moment is the same, to the second"
        case .dateNotEquals: "it is not"
        case .dateLessThan: "it is earlier"
        case .dateLessThanEquals: "it is not later"
        case .dateGreaterThan: "it is later"
        case .dateGreaterThanEquals: "it is not earlier"
        case .bool: "the value is `true` or `false`, as the policy says"
        case .ipAddress:
            "the address lies in the range (`192.0.2.0/24`, `2001:db8::/32`, one address); for `xks:ClientAddress` only"
        case .notIPAddress: "it does not"
        case .null: "the key is absent (`true`), or present (`false`)"
        }
    }

    fileprivate var whereAbsent: String {
        if self == .null { return "asks for it" }
        return isNegated ? "holds" : "does not hold"
    }
}
