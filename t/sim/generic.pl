#!/usr/bin/env perl

# A provider without a document. Accepts anything unless it is told to expect
# {"headers": {NAME: value}, "args": {NAME: value}}; then each must be there
# exactly once, else 401.
#
#   ANY  /__echo     the request as JSON, as GET /requests shows it
#   GET  /__bytes/N  N filler bytes (Idpay::Filler) with an ETag; Range of one
#                    range and If-None-Match are honoured
#   ANY  elsewhere   200, {"method", "target", "body_length", "body_sha256"}

use Mojo::Base -strict, -signatures;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Idpay::Sim;


sub authenticated ($sim, $r) {
    my $expect = $sim->expect;

    for (keys %{ $expect->{headers} // {} }) {
        my @values = $r->header($_);
        return 0 if @values != 1 || $values[0] ne $expect->{headers}{$_};
    }
    for (keys %{ $expect->{args} // {} }) {
        my @values = $r->arg($_);
        return 0 if @values != 1 || $values[0] ne $expect->{args}{$_};
    }
    return 1;
}


sub bytes ($r, $size) {
    my $etag    = qq{"bytes-$size"};
    my ($range) = $r->header('Range');
    my ($match) = $r->header('If-None-Match');
    my @headers = ([ 'ETag', $etag ], [ 'Accept-Ranges', 'bytes' ]);

    return { status => 304, headers => \@headers }
        if defined $match && $match =~ /(?:^|[,\s])(?:W\/)?\Q$etag\E/;

    return { headers => \@headers, size => $size }
        if !defined $range || $range !~ /^bytes=(\d*)-(\d*)$/ || !length "$1$2";

    my ($from, $to) = ($1, $2);

    if (!length $from) {
        ($from, $to) = ($to < $size ? $size - $to : 0, $size - 1);
    } elsif (!length $to || $to >= $size) {
        $to = $size - 1;
    }

    return {
        status  => 416,
        headers => [ [ 'Content-Range', "bytes */$size" ] ],
    } if $from > $to;

    return {
        status  => 206,
        headers => [ @headers, [ 'Content-Range', "bytes $from-$to/$size" ] ],
        size    => $to - $from + 1,
        offset  => $from,
    };
}


sub handle ($sim, $r) {
    return {
        status  => 401,
        headers => [ [ 'WWW-Authenticate', 'Bearer realm="generic"' ] ],
        json    => { code => 'unauthorized', message => 'no valid credential' },
    } if !authenticated($sim, $r);

    return { json => $r->record } if $r->path eq '/__echo';
    my ($size) = $r->path =~ m{^/__bytes/(\d+)$};
    return bytes($r, $size)
        if defined $size && $r->method =~ /^(?:GET|HEAD)$/;

    my %record = %{ $r->record };
    my @shown  = qw(method target body_length body_sha256);
    return { json => { map { $_ => $record{$_} } @shown } };
}


Idpay::Sim->run(handler => \&handle);
