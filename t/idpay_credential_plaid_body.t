#!/usr/bin/env perl

# Plaid takes its keys from the body too: a body with one of them, or one that
# cannot be searched for them, is refused, and the provider sees nothing. All
# other bodies pass byte for byte.

use strict;
use warnings;

use Compress::Zlib qw(memGzip);
use Test::Idpay;
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('plaid', tls => 0);

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    %%UPSTREAM_plaid%%
    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location /memory/  { client_body_buffer_size 128k; idpay_pass plaid/; }
        location /disk/    { client_body_buffer_size 1k;   idpay_pass plaid/; }
        location /file/    { client_body_in_file_only clean; idpay_pass plaid/; }
        location /stream/  { proxy_request_buffering off;  idpay_pass plaid/; }
    }
}
CONF
$t->run;

my @type = ([ 'Content-Type', 'application/json' ]);
my $pad  = 'x' x 5_000;


sub list {
    my ($where, $body, %opt) = @_;
    return $t->post("/$where/identity_verification/list", $body,
        headers => \@type, %opt);
}


# Every way that a body comes in.
sub each_way {
    my ($body, $code) = @_;

    for my $where (qw(memory disk file stream)) {
        for my $chunked (0, 1) {
            $sim->clear;
            $code->(list($where, $body, chunked => $chunked),
                $where . ($chunked ? ', chunked' : ''));
        }
    }
    return;
}


sub refused {
    my ($name, $body) = @_;

    subtest "refused: $name" => sub {
        each_way($body, sub {
            my ($r, $how) = @_;
            is $r->status, 400, $how;
            is $r->json->{code}, 'request_rejected', 'its code';
            is_deeply $sim->requests, [], 'the provider saw nothing';
        });
    };
    return;
}


sub passed {
    my ($name, $body) = @_;

    subtest "passed: $name" => sub {
        each_way($body, sub {
            my ($r, $how) = @_;
            my $requests = $sim->requests;
            is scalar @$requests, 1, $how;
            is $requests->[0]{body}, $body, 'byte for byte';
        });
    };
    return;
}


for my $name (qw(client_id secret)) {
    my $escaped = join '', map { sprintf '\\u%04x', ord } split //, $name;
    my $first   = sprintf '\\u00%02X%s', ord $name, substr $name, 1;

    refused($name, qq({"$name":"v"}));
    refused("$name, nothing in it", qq({"$name":null}));
    refused("$name, empty",         qq({"$name":""}));
    refused("$name, an object",     qq({"$name":{}}));
    refused("$name in capitals", qq({"\U$name\E":"v"}));
    refused("$name, one capital", qq({"\u$name":"v"}));
    refused("$name escaped",         qq({"$escaped":"v"}));
    refused("$name, a letter of it", qq({"$first":"v"}));
    refused("$name after others", qq({"a":{"b":[1,{"c":"}"}]},"$name":"v"}));
    refused("$name after a nested one",
        qq({"user":{"$name":1},"$name":"v"}));
    refused("$name twice", qq({"$name":1,"a":2,"$name":"v"}));
    refused("$name after its like", qq({"${name}x":1,"$name":"v"}));
    refused("$name after much",   qq({"a":"$pad","$name":"v"}));
    refused("$name between blanks",
        qq( \r\n\t{ "$name"\n:\t"v" , "a" : 1 } \n));
}

refused('no JSON',            'client_id=a&secret=b');
refused('half of JSON',       '{"a":1');
refused('two objects',        '{"a":1}{"secret":"v"}');
refused('an array',           '[{"secret":"v"}]');
refused('a string',           '"secret"');
refused('a NUL in a name',    qq({"secret\0":1}));
refused('an escaped NUL',     '{"secret\u0000x":1}');
refused('behind a BOM',       qq(\xef\xbb\xbf{"secret":"v"}));
refused('in UTF-16',          join "\0", split //, '{"secret":"v"}');
refused('gzip',               memGzip('{"secret":"v"}'));
refused('more than is searched', '{"a":"' . 'x' x (65_537 - 8) . '"}');
refused('deep nesting',       '[' x 60_000);
refused('too deep in it', '{"a":' . '[' x 5_000 . ']' x 5_000 . '}');

passed('as much as is searched', '{"a":"' . 'x' x (65_536 - 8) . '"}');
passed('nested members',
    '{"template_id":"t","client_user_id":"u","user":{"secret":1,"client_id":2},'
        . '"a":[{"secret":"x"}]}');
passed('names alike',
    '{"secrets":1,"secret_":2,"client_id_2":3,"a":"secret","b":"client_id"}');
passed('its own spelling',
    qq({ "n" : 12345678901234567890.10, "e":"\\u00e9\xc3\xa9\\/", "n" : 1e400 }\n));
passed('an empty object', '{}');


# Without a body there is nothing to search; the provider judges that.
$sim->clear;
$t->http(POST => '/memory/identity_verification/list', headers => \@type);
is $sim->last_request->{body}, '', 'no body';
$t->http(POST => '/disk/identity_verification/list',
    headers => [ @type, [ 'Content-Length', 0 ] ], body => '');
is scalar @{ $sim->requests }, 2, 'an empty body';

# What is encoded cannot be searched, whatever it looks like.
$sim->clear;
my $r = $t->post('/memory/identity_verification/list',
    memGzip('{"secret":"v"}'),
    headers => [ @type, [ 'Content-Encoding', 'gzip' ] ]);
is $r->status, 400, 'declared as gzip';
is $r->json->{code}, 'request_rejected', 'its code';

$r = $t->post('/memory/identity_verification/list', 'client_id=a&secret=b',
    headers => [ [ 'Content-Type', 'application/x-www-form-urlencoded' ] ]);
is $r->status, 400, 'declared as a form';
is_deeply $sim->requests, [], 'the provider saw nothing';

done_testing;
