package Test::Idpay::Pass;

# A call through idpay_pass beside the same call through proxy_pass. Port 8080
# is the gateway's; 8081 has the same locations with a plain proxy_pass over an
# upstream plain_NAME that the test configures.
#
#   plain($locations)    the locations with each "idpay_pass NAME/uri;" as
#                        "proxy_pass https://plain_NAME/uri;" and the settings
#                        that make the same request of it
#   servers($locations, $listen)
#                        two servers: at 8080 with these locations, at 8081
#                        with the plain ones. $listen: more for "listen"
#   compare($t, $sim, $name, $method, $uri, \%rule, %opt)
#                        makes the call at both ports: the same answer, the
#                        same requests at the simulator but for X-Key, the
#                        credential in each, and no request too many. %rule is
#                        the misbehaviour of the simulator. %opt: calls, how
#                        many requests the simulator gets for each (1); ignore,
#                        qr// of header names in the answer; others as of
#                        $t->http. Returns our answer; in a list the answer
#                        and our requests as of sent(), sorted
#   seen($response, $ignore)
#                        what a caller sees of an answer, but its date
#   sent($request)       what the simulator was sent, but the credential

use strict;
use warnings;

use Exporter qw(import);
use Test::More;

our @EXPORT_OK = qw(plain servers compare seen sent);

my $settings = <<'CONF';
            proxy_http_version 1.1;
            proxy_set_header Host generic.test;
            proxy_set_header Connection "";
            proxy_set_header Accept-Encoding "";
            proxy_ssl_verify on;
            proxy_ssl_name generic.test;
            proxy_ssl_server_name on;
            proxy_ssl_trusted_certificate %%CA%%;
CONF


sub plain {
    my $locations = shift;

    return $locations
        =~ s{\bidpay_pass (\S+;)}{proxy_pass https://plain_$1\n$settings}gr;
}


sub servers {
    my ($locations, $listen) = @_;

    my %locations = (8080 => $locations, 8081 => plain($locations));
    $listen = defined $listen ? " $listen" : '';

    return join "\n", map { <<"CONF" } sort keys %locations;
    server {
        listen 127.0.0.1:%%PORT_$_%%$listen;
$locations{$_}
    }
CONF
}


sub seen {
    my ($r, $ignore) = @_;

    my $chunked = ($r->header('Transfer-Encoding') // '') eq 'chunked';
    return {
        status  => $r->status,
        headers => [ grep { $_->[0] ne 'Date' }
                grep { !$ignore || $_->[0] !~ $ignore } $r->headers ],
        body     => $r->body,
        complete => $r->complete,
        error    => $r->error,
        interim  => [ map { $_->raw } $r->interim ],
        trailer  => $chunked && $r->raw =~ /\r\n0\r\n(.*)\z/s ? $1 : undef,
    };
}


# The order of the headers is not a matter of what is sent.
sub sent {
    my $request = shift;

    my ($line) = $request->{raw} =~ /^(.*?\r\n)/;
    return {
        line    => $line,
        headers => [ sort map {"$_->[0]: $_->[1]"}
                grep { $_->[0] ne 'X-Key' } @{ $request->{headers} } ],
        body   => $request->{body},
        length => $request->{body_length},
        sha256 => $request->{body_sha256},
    };
}


sub compare {
    my ($t, $sim, $name, $method, $uri, $rule, %opt) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $calls  = delete $opt{calls} // 1;
    my $ignore = delete $opt{ignore};
    my (@answer, @requests);

    for my $port (8080, 8081) {
        $sim->behave->clear;
        $sim->misbehave(times => -1, %$rule) if $rule;
        push @answer, $t->http($method, $uri, %opt, port => $port);

        # a mirror's call may come after the answer
        my $requests = $sim->requests;
        $requests = $sim->wait_requests($calls) if @$requests < $calls;
        push @requests, $requests;
    }

    is_deeply seen($answer[0], $ignore), seen($answer[1], $ignore),
        "$name: the same answer";

    # calls of subrequests come in any order
    my ($ours, $theirs) = map {
        [ sort { "$a->{line}@{ $a->{headers} }" cmp
                 "$b->{line}@{ $b->{headers} }" } map { sent($_) } @$_ ]
    } @requests;
    is_deeply $ours, $theirs, "$name: the same request";
    is scalar @$ours, $calls, "$name: as many as there should be";
    is_deeply [ map { $sim->header($_, 'X-Key') } @{ $requests[0] } ],
        [ ($t->secret_value('key')) x $calls ], "$name: the credential";

    return wantarray ? ($answer[0], @$ours) : $answer[0];
}


1;
