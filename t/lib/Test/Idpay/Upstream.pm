package Test::Idpay::Upstream;

# The upstream block that leads to a simulator, %%UPSTREAM_name%% in a
# configuration. For a simulator of PlusID it is
#
#   upstream name {
#       server          127.0.0.1:port;
#       keepalive       8;
#       idpay_provider  plusid;
#       idpay_tls       off;                     # only where it has no TLS
#       idpay_host      plusid.test;
#       idpay_secret    api_key file:...;        # the secret plusid_api_key
#       idpay_rate      off;
#       idpay_adaptive  off;
#       idpay_retry     off;
#       idpay_breaker   off;
#   }
#
# and for the others the same with their own secrets, passportreader_secret
# and so on. A "generic" one has "idpay_auth header X-Key" and the secret key.
# The last four lines make a call one attempt at once, whatever was before it:
# %%UNLIMITED%% in a block that a test writes itself. A simulator's option
# `limits` is what stands there instead; '' leaves what is on by default.
#
#   upstream_block($sim, sub { path of the secret $_[0] })
#   unlimited()                these lines

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(unlimited upstream_block);

# Name in idpay_secret, name in the test.
my %secrets = (
    plusid         => [ [qw(api_key plusid_api_key)] ],
    passportreader => [
        [qw(public_key passportreader_public_key)],
        [qw(secret passportreader_secret)],
    ],
    plasmapay => [ [qw(api_key plasmapay_api_key)] ],
    plaid => [ [qw(client_id plaid_client_id)], [qw(secret plaid_secret)] ],
    gopay => [
        [qw(client_id gopay_client_id)],
        [qw(client_secret gopay_client_secret)],
    ],
    generic => [ [qw(key key)] ],
);


sub unlimited {
    return join "\n        ",
        'idpay_rate      off;',
        'idpay_adaptive  off;',
        'idpay_retry     off;',
        'idpay_breaker   off;';
}


sub upstream_block {
    my ($sim, $path_of) = @_;

    my $provider = $sim->provider;
    my @lines    = (
        'server          ' . $sim->address . ';',
        'keepalive       8;',
        "idpay_provider  $provider;",
        $sim->tls ? () : 'idpay_tls       off;',
        'idpay_host      ' . $sim->host . ';',
        $provider eq 'generic' ? 'idpay_auth      header X-Key;' : (),
        (map {"idpay_secret    $_->[0] file:" . $path_of->($_->[1]) . ';'}
            @{ $secrets{$provider} }),
        $sim->limits // unlimited(),
    );

    return 'upstream ' . $sim->name . " {\n"
        . join('', map {"        $_\n"} @lines) . '    }';
}


1;
